"""Manifests: what was written repeats the run, and what is none says so."""

import dataclasses
import functools
import json
import os
import platform
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tf_style import __version__
from tf_style.config import GatysConfig, HubConfig, Job
from tf_style.jobs import manifest

ABC, DEF = "ba78", "cb8e"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Works in a folder of its own."""
    monkeypatch.chdir(tmp_path)


def _job(**values):
    return Job(**{"contents": ("photo.jpg",), "styles": ("painting.jpg",)} | values)


def _write(job, facts=None, output="out.png"):
    inputs = {"content": (job.contents[0], ABC), "style": (job.styles[0], DEF)}
    if job.gatys.init == "first.jpg":
        inputs["init"] = (job.gatys.init, "2f")
    models = {
        engine: SimpleNamespace(name=engine, source=f"of {engine}", checksum="1f")
        for engine in job.methods
    }
    return _publish(manifest.describe(job, inputs, models), output, facts or {})


def _publish(account, output="out.png", facts=None, data=b"picture"):
    """Writes a picture of these bytes with its manifest; returns the latter's path."""
    output = Path(output)
    with manifest.publishing(account, [output], facts or {}) as (temporary,):
        temporary.write_bytes(data)
    return manifest.path_of(output)


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "hub", "hub": HubConfig(style_size=99)},
        {"mode": "hub", "max_side": 700},
        {"mode": "gatys", "gatys": GatysConfig(steps=7, style_weight=3e-5, seed=9)},
        {"mode": "gatys", "max_side": 0},
        {
            "mode": "compare",
            "gatys": GatysConfig(style_layer_weights=(1.0, 2.0, 3.0, 4.0, 5.0)),
            "hub": HubConfig(style_size=77),
        },
    ],
)
def test_manifest_gives_the_job_back(tmp_path, values):
    path = _write(_job(**values))
    assert path == Path("out.png.json")
    read = manifest.read(path)
    photo, painting = (str(tmp_path / name) for name in ("photo.jpg", "painting.jpg"))
    checksums = {"content": ABC, "style": DEF}
    checksums |= dict.fromkeys(_job(**values).methods, "1f")
    places = {"contents": (photo,), "styles": (painting,), "output": "out.png"}
    assert read == _job(**values, **places, checksums=checksums)


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    gatys = GatysConfig(init="first.jpg", backbone="vgg.h5")
    path = _write(_job(mode="compare", gatys=gatys, hub=HubConfig(model="model")))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    read = manifest.read(tmp_path / path)
    assert read.contents == (str(tmp_path / "photo.jpg"),)
    assert read.output == str(tmp_path / "out.png")
    assert read.gatys.init == str(tmp_path / "first.jpg")
    assert read.gatys.backbone == str(tmp_path / "vgg.h5")
    assert read.hub.model == str(tmp_path / "model")
    assert read.checksums["init"] == "2f"


def test_names_and_urls_stay_as_they_are():
    url = "https://x.org/photo.jpg"
    hub = HubConfig(model="https://x.org/model/1")
    read = manifest.read(_write(_job(contents=(url,), mode="compare", hub=hub)))
    assert read.contents == (url,)
    assert read.hub == hub
    assert read.gatys == GatysConfig()


def test_output_may_be_chosen_anew():
    path = _write(_job(output="out.png"))
    assert manifest.read(path, "again/").output == "again/"


def test_output_is_looked_for_beside_a_manifest_that_was_moved():
    _write(_job(), output="deep/out.png")
    Path("deep").rename("moved")
    assert manifest.read("moved/out.png.json").output == "moved/out.png"


def test_manifest_tells_facts_models_and_versions():
    path = _write(_job(), {"seconds": 1.5, "size": [50, 37]})
    account = json.loads(path.read_text("utf-8"))
    assert account["tf_style"] == __version__
    assert (account["seconds"], account["size"]) == (1.5, [50, 37])
    assert account["models"] == {
        "hub": {"name": "hub", "source": "of hub", "sha256": "1f"}
    }
    assert account["versions"]["numpy"] == np.__version__
    assert account["versions"]["python"] == platform.python_version()


@pytest.mark.parametrize(
    "mode, engines",
    [
        ("hub", {"hub"}),
        ("gatys", {"gatys"}),
        ("compare", {"hub", "neighbors", "gatys"}),
    ],
)
def test_manifest_holds_the_settings_of_its_mode_only(mode, engines):
    settings = json.loads(_write(_job(mode=mode)).read_text("utf-8"))["settings"]
    assert settings.keys() == {"mode", "max_side"} | engines


def test_changed_input_is_noticed():
    job = manifest.read(_write(_job()))
    manifest.check(job, "content", "a.jpg", ABC)
    with pytest.raises(ValueError, match="^a.jpg has changed since the manifest"):
        manifest.check(job, "content", "a.jpg", DEF)
    with pytest.raises(ValueError, match="^model has changed since the manifest"):
        manifest.check(job, "hub", "model", ABC)


@pytest.mark.parametrize(
    "kind, count, names",
    [
        ("style", 1, ["style"]),
        ("mask", 3, ["mask", "mask_2", "mask_3"]),
        ("mask", 0, []),
    ],
)
def test_inputs_of_a_kind_are_numbered_from_the_second(kind, count, names):
    assert manifest.numbered(kind, count) == names


def _account(job, masks):
    """Describes a picture of two styles; masks are {source: checksum}."""
    inputs = {"content": ("a.jpg", ABC), "style": ("b.jpg", DEF), "style_2": ("c", "3")}
    names = manifest.numbered("mask", len(masks))
    inputs |= dict(zip(names, masks.items()))
    model = SimpleNamespace(name="m", source="of m", checksum="1f")
    return manifest.describe(job, inputs, dict.fromkeys(job.methods, model))


@pytest.mark.parametrize("mode", ["hub", "gatys"])
@pytest.mark.parametrize("masks", [{}, {"m.png": "4"}, {"m.png": "4", "n.png": "5"}])
def test_styles_and_masks_of_a_blend_are_repeated_in_order(tmp_path, mode, masks):
    config = {"hub": HubConfig, "gatys": GatysConfig}[mode](
        style_weights=(3.0, 1.0), preserve_color="luminance", style_scale=2.0
    )
    job = _job(mode=mode, **{mode: config})
    read = manifest.read(_publish(_account(job, masks)))
    assert read.blends
    assert read.styles == (str(tmp_path / "b.jpg"), str(tmp_path / "c"))
    assert read.masks == tuple(str(tmp_path / name) for name in masks)
    assert getattr(read, mode) == config
    for name, checksum in zip(("mask", "mask_2"), masks.values()):
        manifest.check(read, name, "m.png", checksum)
        with pytest.raises(ValueError, match="^m.png has changed since"):
            manifest.check(read, name, "m.png", "6")


def test_styles_without_weights_are_blended_again():
    job = _job(mode="gatys", style_blend=True)
    read = manifest.read(_publish(_account(job, {})))
    assert read.style_blend and read.gatys.style_weights == ()


@pytest.mark.parametrize(
    "masks, difference",
    [
        ({"m.png": "4"}, ""),
        ({"elsewhere.png": "4"}, ""),
        ({"m.png": "7"}, "another mask"),
        ({}, "another mask"),
        ({"m.png": "4", "n.png": "5"}, "another mask_2"),
    ],
)
def test_masks_differ_by_what_is_in_them(masks, difference):
    here, there = (_account(_job(), m) for m in (masks, {"m.png": "4"}))
    assert manifest.difference(here, there) == difference
    assert manifest.difference(there, here) == difference


@pytest.mark.parametrize(
    "facts, settings, done",
    [
        ({}, {}, True),
        ({"seconds": 3.5, "interrupted": False}, {}, True),
        ({"interrupted": True}, {}, False),
        ({}, {"style_scale": 2.0}, False),
        ({}, {"style_weights": (1.0, 2.0)}, False),
    ],
)
def test_a_picture_is_done_if_its_manifest_is_finished_and_the_same(
    facts, settings, done
):
    _publish(_account(_job(), {}), facts=facts)
    out = Path("out.png")
    wanted = _account(_job(hub=HubConfig(**settings)), {})
    assert manifest.is_done([out], wanted) is done
    assert not manifest.is_done([out, Path("out_hub.png")], wanted)
    out.write_bytes(b"another")
    assert not manifest.is_done([out], wanted)
    out.unlink()
    assert not manifest.is_done([out], wanted)
    out.write_bytes(b"picture")
    Path("out.png.json").write_text("mine")
    assert not manifest.is_done([out], wanted)


def test_a_manifest_of_fewer_settings_is_not_of_the_same_picture():
    """As one of an earlier version of ours."""
    account = _account(_job(), {})
    path = _publish(account)
    old = json.loads(path.read_text())
    del old["settings"]["hub"]["style_scale"]
    path.write_text(json.dumps(old))
    assert not manifest.is_done([Path("out.png")], account)


def test_a_run_that_repeats_nothing_takes_any_input():
    manifest.check(_job(), "content", "a.jpg", ABC)


@pytest.mark.parametrize(
    "data",
    [
        b'{"name": "tf_style"}',
        b'["tf_style"]',
        b"[" * 100_000,
        b"17",
        b"my notes",
        b"",
        b"\xff\xfe\x00",
    ],
    ids=["dict", "list", "deep", "number", "text", "empty", "bytes"],
)
def test_only_our_own_manifests_may_be_overwritten(data):
    manifest.check_ours([Path("a.png")])
    Path("a.png.json").write_bytes(b'{"tf_style": "0.1.0"}')
    manifest.check_ours([Path("a.png")])
    Path("a.png.json").write_bytes(data)
    with pytest.raises(ValueError, match="^a.png.json is not a manifest of tf_style"):
        manifest.check_ours([Path("a.png")])


def test_folder_in_the_manifests_place_is_not_ours():
    Path("a.png.json").mkdir()
    with pytest.raises(ValueError, match="^a.png.json is not a manifest of tf_style"):
        manifest.check_ours([Path("a.png")])


def test_only_what_we_wrote_may_be_overwritten():
    out, part = Path("out.png"), Path("out_hub.png")
    out.write_bytes(b"mine")
    with pytest.raises(ValueError, match="^out.png was not made by tf_style and would"):
        manifest.check_ours([out])
    out.unlink()
    _publish({}, out)
    manifest.check_ours([out, part])
    part.write_bytes(b"picture")
    with pytest.raises(ValueError, match="^out_hub.png was not made by tf_style"):
        manifest.check_ours([out, part])
    out.write_bytes(b"retouched")
    with pytest.raises(ValueError, match="^out.png has changed since tf_style wrote"):
        manifest.check_ours([out])
    out.unlink()
    out.mkdir()
    with pytest.raises(ValueError, match="^out.png has changed since tf_style wrote"):
        manifest.check_ours([out])


def test_what_came_with_an_earlier_picture_stays_ours():
    """As the parts of a comparison, where its panel is painted anew in mode hub."""
    out, part = Path("out.png"), Path("out_hub.png")
    with manifest.publishing({}, [out, part], {}) as temporaries:
        for temporary in temporaries:
            temporary.write_bytes(b"earlier")
    _publish({}, out)
    manifest.check_ours([out, part])


@pytest.mark.parametrize("first", [True, False])
def test_killed_between_manifest_and_picture_the_picture_is_ours(first):
    """The bytes of a kill: the new manifest stands there, the old picture too."""
    out = Path("out.png")
    if not first:
        _publish({}, out, data=b"old")
    path = _publish({}, out, data=b"new")
    out.unlink() if first else out.write_bytes(b"old")
    manifest.check_ours([out])
    assert not manifest.is_done([out], {})
    assert json.loads(path.read_text())["output"] == "out.png"


def test_two_formats_of_one_name_have_a_manifest_each():
    _publish({}, "out.png", data=b"png")
    _publish({}, "out.jpg", data=b"jpg")
    manifest.check_ours([Path("out.png")])
    manifest.check_ours([Path("out.jpg")])
    assert manifest.find("out.png")["output"] == "out.png"


MISSING = object()


@pytest.mark.parametrize(
    "place, value, reason",
    [
        ("settings", MISSING, "it lacks 'settings'"),
        ("inputs/style", MISSING, "it lacks 'style'"),
        ("inputs/content/sha256", MISSING, "it lacks 'sha256'"),
        ("models", MISSING, "it lacks 'models'"),
        ("models/gatys", MISSING, "it lacks 'gatys'"),
        ("models/gatys/sha256", MISSING, "it lacks 'sha256'"),
        ("output", MISSING, "it lacks 'output'"),
        ("settings", None, ""),
        ("inputs", [], ""),
        ("inputs/content/source", 17, ""),
        ("models", ["magenta"], ""),
        ("output", 17, ""),
        ("settings/mode", "fast", "mode is 'fast'"),
        ("settings/max_side", "big", ""),
        ("settings/max_side", -1, "max_side is -1"),
        ("settings/gatys", "none", ""),
        ("settings/gatys/step", 1, "GatysConfig has no setting 'step'"),
        ("settings/gatys/steps", 0, "steps is 0"),
        ("settings/gatys/steps", "7", ""),
        pytest.param("settings/gatys/steps", 10**400, "", id="huge"),
        ("settings/gatys/tv_weight", float("nan"), "tv_weight is nan"),
    ],
)
def test_malformed_manifest_is_one_line(place, value, reason):
    path = _write(_job(mode="gatys"))
    account = json.loads(path.read_text("utf-8"))
    *parents, last = place.split("/")
    entry = functools.reduce(lambda at, key: at[key], parents, account)
    if value is MISSING:
        del entry[last]
    else:
        entry[last] = value
    path.write_text(json.dumps(account))
    _assert_refused(path, reason)


@pytest.mark.parametrize(
    "data, reason",
    [
        *((data, "it is not JSON") for data in (b"", b"{", b"\xff\xfe")),
        *((data, "") for data in (b"17", b"null", b"[]", b'"text"', b"[" * 100_000)),
    ],
    ids=["empty", "cut", "bytes", "number", "null", "list", "text", "deep"],
)
def test_file_that_is_no_manifest_is_one_line(data, reason):
    Path("a.json").write_bytes(data)
    _assert_refused(Path("a.json"), reason)


def _assert_refused(path, reason=""):
    with pytest.raises(ValueError) as caught:
        manifest.read(path)
    assert str(caught.value).startswith(
        f"{path} is not a manifest of tf_style: {reason}"
    )
    assert "\n" not in str(caught.value)


def test_missing_manifest_is_named():
    with pytest.raises(FileNotFoundError, match="^nowhere.json does not exist$"):
        manifest.read("nowhere.json")


def _seen():
    return {path.name: path.read_bytes() for path in Path().iterdir()}


@pytest.mark.parametrize("there", [False, True])
def test_failed_writing_keeps_the_old_picture_and_manifest(there):
    if there:
        _write(_job())
    before = _seen()
    with pytest.raises(TypeError):
        _write(_job(), facts={"losses": object()})
    assert _seen() == before
    with pytest.raises(OSError):
        with manifest.publishing({}, [Path("out.png")], {}):
            raise OSError("disk full")
    assert _seen() == before


def test_job_of_a_manifest_can_be_written_again():
    job = manifest.read(_write(_job(mode="gatys")))
    again = manifest.read(_write(job, output="again.png"))
    assert dataclasses.replace(again, output=job.output) == job


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_in_the_place_of_a_manifest_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png.json")
    assert manifest.find(tmp_path / "a.png") is None
    assert manifest.results_in(tmp_path) == set()
    with pytest.raises(ValueError, match="a.png.json is not a manifest of tf_style"):
        manifest.check_ours([tmp_path / "a.png"])
