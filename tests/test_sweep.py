"""Sweeps: which pictures are meant, and that each has the settings it is named for."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

from tf_style import images
from tf_style.config import GatysConfig, HubConfig, Job, NeighborsConfig
from tf_style.images import grid
from tf_style.jobs import manifest, plan, run, sweep


def make_job(*texts, **values):
    return Job(("a.jpg",), ("b.jpg",), sweep=texts, **{"mode": "gatys"} | values)


def test_without_a_sweep_nothing_is_changed():
    assert sweep.variations(make_job()) == [()]


def test_one_setting_has_a_variation_for_each_value_in_order():
    assert sweep.variations(make_job("style_weight=1e-2,0.5,1e-3")) == [
        (("style_weight", "1e-2"),),
        (("style_weight", "0.5"),),
        (("style_weight", "1e-3"),),
    ]


def test_two_settings_meet_the_first_outermost():
    assert sweep.variations(make_job("steps=5,9", "optimizer=adam,lbfgs")) == [
        (("steps", "5"), ("optimizer", "adam")),
        (("steps", "5"), ("optimizer", "lbfgs")),
        (("steps", "9"), ("optimizer", "adam")),
        (("steps", "9"), ("optimizer", "lbfgs")),
    ]


def test_a_value_that_comes_twice_is_tried_once():
    assert len(sweep.variations(make_job("steps=5,9,5"))) == 2


@pytest.mark.parametrize(
    "texts, values, reason",
    [
        (("stile_weight=1",), {}, "mode gatys has no setting 'stile_weight'"),
        (("strength=0,1",), {}, "mode gatys has no setting 'strength'"),
        (("steps=5",), {"mode": "hub"}, "mode hub has no setting 'steps'"),
        (("max_side=5",), {}, "mode gatys has no setting 'max_side'"),
        (("steps=5,0",), {}, "steps is 0; it must be from 1"),
        (("steps=5,many",), {}, "steps is 'many'; it must be a whole number"),
        (("steps=1.5",), {}, "steps is '1.5'; it must be a whole number"),
        (("tv_weight=x",), {}, "tv_weight is 'x'; it must be a number"),
        (("tv_weight=1e39",), {}, "tv_weight is 1e+39; it must be from 0 to 3.4e+38"),
        (("tv_weight=nan",), {}, "tv_weight is nan; it must be from 0"),
        (("deterministic=1",), {}, "deterministic is '1'; it must be true or false"),
        (("optimizer=sgd",), {}, "optimizer is 'sgd'; it must be lbfgs or adam"),
        (("style_layer_weights=1+x",), {}, "style_layer_weights is 'x'; it must be a"),
        (("steps",), {}, "sweep is 'steps'; it must be like style_weight=1e-3"),
        (("steps=",), {}, "sweep is 'steps='; it must be like"),
        (("steps=5,,9",), {}, "sweep is 'steps=5,,9'; it must be like"),
        (("=5",), {}, "mode gatys has no setting ''"),
        (("",), {}, "sweep is ''; it must be like"),
        (("steps=5", "steps=9"), {}, "sweep has the same setting twice"),
        (("steps=5", "seed=1", "beta1=0"), {}, "has 3 settings; give 1 or 2"),
        # The fast path takes no such size, and comparisons are of both.
        (("style_size=20",), {"mode": "compare"}, "style_size is 20; it must be 0 or"),
    ],
)
def test_a_sweep_that_cannot_be_is_one_line(texts, values, reason):
    with pytest.raises(ValueError) as caught:
        sweep.variations(make_job(*texts, **values))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, text, value",
    [
        ("steps", "7", 7),
        ("style_weight", "3e-2", 0.03),
        ("pooling", "average", "average"),
        ("deterministic", "true", True),
        ("deterministic", "false", False),
        ("content_layers", "conv4_1+conv4_2", ("conv4_1", "conv4_2")),
        ("style_layers", "conv1_1", ("conv1_1",)),
        ("style_layer_weights", "1+2+3+4+0.5", (1.0, 2.0, 3.0, 4.0, 0.5)),
    ],
)
def test_text_becomes_a_value_of_the_settings_kind(name, text, value):
    job = sweep.vary(make_job(), [(name, text)])
    assert job.gatys == GatysConfig(**{name: value})
    assert type(getattr(job.gatys, name)) is type(value)


def test_a_setting_of_several_methods_changes_in_all_that_paint():
    changes = [("style_scale", "2"), ("steps", "9")]
    both, slow = (sweep.vary(make_job(mode=m), changes) for m in ("compare", "gatys"))
    assert both.hub == HubConfig(style_scale=2.0)
    # But steps, whose defaults differ, are of the last.
    assert both.neighbors == NeighborsConfig(style_scale=2.0)
    assert both.gatys == slow.gatys == GatysConfig(style_scale=2.0, steps=9)
    assert slow.hub == HubConfig()


def test_what_is_not_swept_stays(tmp_path):
    job = make_job("steps=5", gatys=GatysConfig(seed=4), output=str(tmp_path))
    varied = sweep.vary(job, [("steps", "5")])
    assert varied == dataclasses.replace(job, gatys=GatysConfig(seed=4, steps=5))


@pytest.fixture
def job(slow_job):
    config = dataclasses.replace(slow_job.gatys, scales=1, steps=2)
    return dataclasses.replace(slow_job, gatys=config)


@pytest.fixture
def drawn(monkeypatch):
    """The contact sheets that are drawn, each a list of rows of `grid.Cell`."""
    sheets, draw = [], grid.draw
    monkeypatch.setattr(grid, "draw", lambda rows: sheets.append(rows) or draw(rows))
    return sheets


def settings_in(folder):
    """Returns {name of the picture: settings of the slow path} from manifests."""
    return {
        path.with_suffix("").stem: json.loads(path.read_text())["settings"]["gatys"]
        for path in folder.glob("*.json")
        if not path.name.startswith("contact_sheet")
    }


def test_pictures_are_named_by_their_settings_and_have_them(job, drawn, tmp_path):
    job = dataclasses.replace(
        job, sweep=("style_weight=1e-4,10", "optimizer=adam,lbfgs")
    )
    events = list(run.run(job))
    assert not [event for event in events if isinstance(event, run.Failed)]
    out = tmp_path / "out"
    names = [
        f"photo_painting_style_weight={weight}_optimizer={optimizer}"
        for weight in ("1e-4", "10")
        for optimizer in ("adam", "lbfgs")
    ]
    found = settings_in(out)
    assert list(found) and found.keys() == set(names)
    for name in names:
        config = found[name]
        assert f"optimizer={config['optimizer']}" in name
        assert ("style_weight=10_" in name) == (config["style_weight"] == 10)
        assert config["steps"] == 2
    pictures = [images.load_image(out / f"{name}.png") for name in names]
    for index, picture in enumerate(pictures):
        for other in pictures[:index]:
            assert np.abs(picture - other).max() > 1 / 255
    # The first setting leads to the right, the second down.
    [rows] = drawn
    assert [[cell.caption for cell in row] for row in rows] == [
        ["photo", "style_weight=1e-4", "style_weight=10"],
        ["optimizer=adam", "", ""],
        ["optimizer=lbfgs", "", ""],
    ]
    np.testing.assert_allclose(
        rows[0][0].picture, images.load_image(job.contents[0]), atol=1e-6
    )
    for row, column, name in ((1, 1, 0), (2, 1, 1), (1, 2, 2), (2, 2, 3)):
        np.testing.assert_array_equal(rows[row][column].picture, pictures[name])


def test_a_sweep_of_one_setting_is_a_row(job, drawn, stub_model, tmp_path):
    job = dataclasses.replace(
        job,
        mode="hub",
        hub=HubConfig(model=str(stub_model)),
        sweep=("strength=0,0.5,1",),
    )
    list(run.run(job))
    [rows] = drawn
    assert [[cell.caption for cell in row] for row in rows] == [
        ["painting", "", "", ""],
        ["photo", "strength=0", "strength=0.5", "strength=1"],
    ]
    photo, *pictures = (cell.picture for cell in rows[1])
    np.testing.assert_allclose(pictures[0], photo, atol=1e-6)
    np.testing.assert_allclose(
        pictures[1], (pictures[0] + pictures[2]) / 2, atol=1.1 / 255
    )
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_each_value_of_a_sweep_is_settled_and_read_on_its_own(job, stub_model):
    photo = job.contents[0]
    job = dataclasses.replace(
        job,
        hub=HubConfig(model=str(stub_model)),
        sweep=(f"init=content,hub,{photo},nowhere.png",),
    )
    events = list(run.run(job))
    failed = [event for event in events if isinstance(event, run.Failed)]
    assert [event.reason for event in failed] == ["nowhere.png does not exist"]
    pictures = [e for e in events if isinstance(e, run.Written) and e.seconds]
    assert len(pictures) == 3


def test_a_model_that_is_missing_fails_alone(job, stub_model):
    job = dataclasses.replace(
        job,
        mode="hub",
        sweep=(f"model=nowhere,{stub_model}",),
        hub=HubConfig(model="builtin"),
    )
    events = list(run.run(job))
    [failed] = [event for event in events if isinstance(event, run.Failed)]
    assert "model nowhere is not the folder of a SavedModel" in failed.reason
    assert [e.seconds is None for e in events if isinstance(e, run.Written)] == [
        False,
        True,
    ]


def test_a_swept_time_budget_is_kept_to(job):
    job = dataclasses.replace(
        job,
        gatys=dataclasses.replace(job.gatys, steps=10_000),
        sweep=("time_budget=0.5,1",),
    )
    steps = [event for event in run.run(job) if isinstance(event, run.Step)]
    assert len(steps) < 10_000


def test_a_swept_picture_is_repeated_by_its_manifest(job, stub_model, tmp_path):
    config = HubConfig(model=str(stub_model))
    swept = {"mode": "hub", "hub": config, "sweep": ("strength=0.25,1",)}
    list(run.run(dataclasses.replace(job, **swept)))
    [path] = (tmp_path / "out").glob("*strength=0.25.png.json")
    again = manifest.read(path, str(tmp_path / "again.png"))
    assert (again.hub.strength, again.sweep) == (0.25, ())
    list(run.run(again))
    picture = path.with_suffix("").read_bytes()
    assert (tmp_path / "again.png").read_bytes() == picture


@pytest.mark.parametrize(
    "contents, styles, reason",
    [
        (("a.jpg", "c.jpg"), ("b.jpg",), "there are 2 contents and 1 styles"),
        (("a.jpg",), ("b.jpg", "c.jpg"), "there are 1 contents and 2 styles"),
    ],
)
def test_a_sweep_is_for_one_picture(tmp_path, contents, styles, reason):
    job = Job(contents, styles, str(tmp_path), mode="gatys", sweep=("steps=1,2",))
    with pytest.raises(
        ValueError, match=f"sweep takes one photo and one style or blend, but {reason}"
    ):
        plan.assign(job, contents, styles)


def test_a_blend_may_be_swept(tmp_path):
    styles = ("b.jpg", "c.jpg")
    job = Job(
        ("a.jpg",),
        styles,
        str(tmp_path),
        mode="gatys",
        style_blend=True,
        sweep=("style_weights=1+0,1+1",),
    )
    pairs = plan.assign(job, job.contents, styles)
    assert [pair.styles for pair in pairs] == [styles] * 2
    assert [pair.output.name for pair in pairs] == [
        "a_b_c_style_weights=1+0.png",
        "a_b_c_style_weights=1+1.png",
    ]


def test_several_values_need_a_folder(tmp_path):
    job = make_job("steps=1,2", output=str(tmp_path / "one.png"))
    with pytest.raises(ValueError, match="one file, but there are 2 pictures"):
        plan.assign(job, job.contents, job.styles)


def test_values_with_slashes_make_no_folders(tmp_path):
    job = make_job("backbone=deep/a.h5,b.h5", output=str(tmp_path / "out"))
    names = [p.output.name for p in plan.assign(job, job.contents, job.styles)]
    assert names == ["a_b_backbone=deep_a.h5.png", "a_b_backbone=b.h5.png"]


def told(job):
    """Returns what is noted at the beginning, before anything is painted."""
    events = run.run(job)
    notes = itertools.takewhile(lambda event: isinstance(event, run.Info), events)
    return [event.note for event in notes]


def test_what_does_nothing_is_told_unless_the_sweep_makes_it_do_something(job):
    config = dataclasses.replace(
        job.gatys, beta1=0.5, init="content", optimizer="lbfgs"
    )
    useless = "beta1 does nothing with optimizer=lbfgs"
    job = dataclasses.replace(job, gatys=config, hub=HubConfig(), sweep=("steps=1,2",))
    assert told(job) == [useless]
    assert told(dataclasses.replace(job, sweep=("optimizer=lbfgs,adam",))) == []
    assert told(dataclasses.replace(job, sweep=("beta1=0.9,0.8",))) == [useless]
