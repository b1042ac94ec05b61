"""Forecasts and dry runs: what would be done, and how long it would take."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tf_style import images, methods
from tf_style.config import GatysConfig, HubConfig, Job, NeighborsConfig
from tf_style.jobs import forecast, run
from tf_style.optimization import neighbors


def task(mode, height, width, **gatys):
    """A task as far as forecasts look at it."""
    photo = np.zeros((1, height, width, 3), np.float32)
    gatys = GatysConfig(backbone="builtin", **gatys)
    neighbors = NeighborsConfig(backbone="builtin", steps=5, scales=1)
    job = Job(("c.png",), ("s.png",), mode=mode, gatys=gatys, neighbors=neighbors)
    picture = SimpleNamespace(pixels=photo)
    return SimpleNamespace(
        job=job,
        content=picture,
        seconds=7.0,
        encode=tuple,
        encode_slow=lambda method: methods.load(method).encode(
            photo, getattr(job, method)
        ),
    )


@pytest.fixture
def rates(monkeypatch):
    """Makes a pixel take a millisecond in one pass, and 2 in a step, even the first."""
    trials = []
    for name, rate in (("_try_hub", 1e-3), ("_try_steps", (2e-3, 0))):
        monkeypatch.setattr(
            forecast, name, lambda *_, n=name, r=rate: trials.append(n) or r
        )
    return trials


def test_one_pass_takes_as_long_as_it_has_pixels_and_one_trial_serves_all(rates):
    found = forecast.Forecast()
    assert found.seconds(task("hub", 10, 20)) == pytest.approx(0.2)
    assert found.seconds(task("hub", 30, 40)) == pytest.approx(1.2)
    assert rates == ["_try_hub"]


def test_optimising_takes_as_long_as_its_scales_have_pixels(rates):
    found = forecast.Forecast()
    # 3 steps of 32x32 and 3 of 64x64 pixels.
    seconds = found.seconds(task("gatys", 64, 64, steps=6, scales=2))
    assert seconds == pytest.approx(2e-3 * 3 * (32 * 32 + 64 * 64))


def test_targets_that_are_found_again_take_their_time(monkeypatch):
    monkeypatch.setattr(forecast, "_try_steps", lambda *_: (1e-3, 5e-3))
    wanted = task("neighbors", 64, 64)
    seconds = forecast.Forecast().seconds(wanted)
    assert seconds == pytest.approx((5 * 1e-3 + 5e-3) * 64 * 64)
    steps = 2 * neighbors.FIND_EVERY + 1
    longer = dataclasses.replace(wanted.job.neighbors, steps=steps)
    wanted.job = dataclasses.replace(wanted.job, neighbors=longer)
    seconds = forecast.Forecast().seconds(wanted)
    assert seconds == pytest.approx((steps * 1e-3 + 3 * 5e-3) * 64 * 64)


def test_comparing_takes_all(rates):
    seconds = forecast.Forecast().seconds(task("compare", 64, 64, steps=1))
    assert seconds == pytest.approx((1e-3 + (5 + 1) * 2e-3) * 64 * 64)


def test_a_time_budget_is_its_own_forecast(rates):
    assert forecast.Forecast().seconds(task("gatys", 9, 9, time_budget=60)) == 7


def without_notes(events):
    return [event for event in events if not isinstance(event, run.Info)]


@pytest.mark.parametrize("mode", ["hub", "gatys"])
def test_a_dry_run_writes_nothing_and_names_what_it_would(
    mode, content, style, shallow, stub_model, tmp_path
):
    images.save_image(tmp_path / "photo.png", content)
    images.save_image(tmp_path / "painting.png", style)
    job = Job(
        contents=(str(tmp_path / "photo.png"),),
        styles=(str(tmp_path / "painting.png"),),
        output=str(tmp_path / "deep" / "out.png"),
        mode=mode,
        gatys=GatysConfig(steps=2, **shallow),
        hub=HubConfig(model=str(stub_model)),
        dry_run=True,
    )
    [event] = without_notes(run.run(job))
    assert event.path == Path(job.output) and event.seconds > 0
    assert not (tmp_path / "deep").exists()
    list(run.run(dataclasses.replace(job, dry_run=False)))
    assert without_notes(run.run(job)) == [run.Skipped(Path(job.output))]


def test_a_picture_that_cannot_be_foretold_does_not_hide_the_others(
    content, stub_model, tmp_path
):
    images.save_image(tmp_path / "photo.png", content)
    long = np.zeros((1, 400, 16, 3), np.float32)  # too elongated
    for name, painting in (("long", long), ("short", long[:, :50])):
        images.save_image(tmp_path / f"{name}.png", painting)
    job = Job(
        contents=(str(tmp_path / "photo.png"),),
        styles=tuple(str(tmp_path / f"{name}.png") for name in ("long", "short")),
        hub=HubConfig(model=str(stub_model)),
        dry_run=True,
    )
    failed, planned = run.run(job)
    assert "too elongated" in failed.reason
    assert planned.path.name == "photo_short.png"
