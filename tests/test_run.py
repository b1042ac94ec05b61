"""A job from files to files: what is written, what fails alone, what is repeated."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tf_style import images
from tf_style.config import GatysConfig, HubConfig, Job, NeighborsConfig
from tf_style.fast import hub
from tf_style.jobs import inputs, manifest, run
from tf_style.optimization import gatys
from tf_style.system import files, hardware
from tf_style.system.stop import StopToken


def noise(height, width, seed):
    return np.random.default_rng(seed).random((1, height, width, 3), np.float32)


@pytest.fixture
def photos(tmp_path):
    """A folder of two photos; no two pictures of this file have the same size."""
    folder = tmp_path / "photos"
    images.save_image(folder / "cat.png", noise(37, 50, 1))
    images.save_image(folder / "dog.png", noise(30, 44, 2))
    return folder


@pytest.fixture
def paintings(tmp_path):
    folder = tmp_path / "paintings"
    for seed, name in enumerate(("ink", "oil", "wax"), start=3):
        images.save_image(folder / f"{name}.png", noise(45 + seed, 61, seed))
    return folder


@pytest.fixture
def job(photos, paintings, stub_model, vgg19, tmp_path):
    """Every photo in every painting, on the fast path; the slow one is ready too."""
    return Job(
        contents=(str(photos),),
        styles=(str(paintings),),
        output=str(tmp_path / "out"),
        hub=HubConfig(model=str(stub_model)),
        gatys=GatysConfig(
            backbone=str(vgg19),
            content_layers=("block1_conv2",),
            style_layers=("block1_conv1", "block1_conv2"),
            steps=3,
            scales=1,
        ),
        neighbors=NeighborsConfig(
            backbone=str(vgg19),
            layers=("block1_conv2",),
            init="content",
            steps=2,
            scales=1,
        ),
    )


@pytest.fixture
def single(job, photos, paintings, tmp_path):
    """One photo in one painting, to one file."""
    return dataclasses.replace(
        job,
        contents=(str(photos / "cat.png"),),
        styles=(str(paintings / "ink.png"),),
        output=str(tmp_path / "out" / "picture.png"),
    )


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


def account_of(path):
    return json.loads(manifest.path_of(path).read_text())


def test_every_photo_is_made_in_every_painting(job, photos, paintings, tmp_path):
    events = list(run.run(job))
    names = [f"{photo}_{p}" for photo in ("cat", "dog") for p in ("ink", "oil", "wax")]
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        *(f"{name}.png" for name in ("contact_sheet", *names)),
        *(f"{name}.png.json" for name in ("contact_sheet", *names)),
    }
    assert of_kind(events, run.Started) == [
        run.Started(index, 6, f"{name}.png", 0) for index, name in enumerate(names)
    ]
    written = of_kind(events, run.Written)
    assert [w.path.name for w in written[:-1]] == [f"{name}.png" for name in names]
    assert all(w.seconds > 0 for w in written[:-1])
    assert written[-1] == run.Written(out / "contact_sheet.png", None)
    for name in names:
        photo, painting = (
            images.load_image(folder / f"{stem}.png")
            for folder, stem in zip((photos, paintings), name.split("_"))
        )
        expected = hub.stylize(photo, painting, job.hub)
        found = images.load_image(out / f"{name}.png")
        np.testing.assert_allclose(found, expected, atol=0.5 / 255 + 1e-6)


def test_the_contact_sheet_has_a_row_per_photo_and_a_column_per_painting(job, tmp_path):
    list(run.run(job))
    sheet = images.load_image(tmp_path / "out" / "contact_sheet.png")
    # Four columns of 160 pixels; rows as high as their pictures, each with a line of
    # 22 pixels above; gaps of 12 all around.
    rows = [50, 37, 30]
    assert sheet.shape == (1, 12 + sum(r + 22 + 12 for r in rows), 12 + 4 * 172, 3)
    top = 12 + (50 + 22 + 12) + (37 + 22 + 12) + 22
    left = 12 + 3 * 172
    np.testing.assert_array_equal(
        sheet[:, top : top + 30, left : left + 44],
        images.load_image(tmp_path / "out" / "dog_wax.png"),
    )


def test_bad_files_fail_alone_and_by_name(job, photos, tmp_path):
    (photos / "cut.png").write_bytes((photos / "cat.png").read_bytes()[:500])
    (photos / "empty.png").touch()
    events = list(run.run(job))
    reasons = [failed.reason for failed in of_kind(events, run.Failed)]
    assert len(reasons) == 2
    assert reasons[0].startswith(f"{photos / 'cut.png'} cannot be decoded")
    assert reasons[1] == f"{photos / 'empty.png'} is empty (0 bytes)"
    assert not any("\n" in reason for reason in reasons)
    pictures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert len(pictures) == 7
    assert not any("cut" in name or "empty" in name for name in pictures)
    # Their rows of the sheet stay empty but for the caption.
    sheet = images.load_image(tmp_path / "out" / "contact_sheet.png")
    rows = [50, 37, 0, 30, 0]
    assert sheet.shape[1] == 12 + sum(row + 22 + 12 for row in rows)


def test_a_bad_painting_does_not_harm_the_others(job, paintings, tmp_path):
    (paintings / "oil.png").write_text("no picture")
    events = list(run.run(job))
    [failed] = of_kind(events, run.Failed)
    assert failed.reason.startswith(f"{paintings / 'oil.png'} is not a picture")
    assert {path.name for path in (tmp_path / "out").glob("???_*.json")} == {
        f"{photo}_{p}.png.json" for photo in ("cat", "dog") for p in ("ink", "wax")
    }


def test_without_memory_it_says_how_to_need_less(single, monkeypatch, tmp_path):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(hub, "stylize", exhausted)
    [failed] = of_kind(run.run(single), run.Failed)
    assert "not enough memory for 50x37 pixels" in failed.reason
    assert "--max_side" in failed.reason
    assert not list((tmp_path / "out").iterdir())


def test_a_missing_model_ends_the_job(single, tmp_path):
    job = dataclasses.replace(single, hub=HubConfig(model=str(tmp_path / "nothing")))
    with pytest.raises(FileNotFoundError, match="nothing is not the folder"):
        list(run.run(job))
    assert not list((tmp_path / "out").iterdir())


def test_max_side_bounds_the_longest_side(single):
    [written] = of_kind(run.run(dataclasses.replace(single, max_side=25)), run.Written)
    assert images.load_image(written.path).shape == (1, 18, 25, 3)


def test_the_slow_path_writes_its_best_picture(single):
    job = dataclasses.replace(single, mode="gatys")
    events = list(run.run(job))
    [started] = of_kind(events, run.Started)
    assert started[:4] == (0, 1, "picture.png", 3)
    assert started.memory > 1e8  # TensorFlow itself
    steps = of_kind(events, gatys.Step)
    assert [step.index for step in steps] == [0, 1, 2, 3]
    [written] = of_kind(events, run.Written)
    found = images.load_image(written.path)
    np.testing.assert_array_equal(found * 255, images.to_uint8(steps[-1].best))
    account = account_of(written.path)
    assert account["losses"] == steps[-1].best_losses
    assert account["notes"] == [] and account["interrupted"] is False


def test_a_first_picture_is_read_from_its_file(single, paintings):
    start = str(paintings / "oil.png")
    config = dataclasses.replace(single.gatys, init=start)
    job = dataclasses.replace(single, mode="gatys", gatys=config)
    first = of_kind(run.run(job), gatys.Step)[0]
    expected = images.resize(images.load_image(start, 512), 37, 50)
    np.testing.assert_array_equal(first.image, expected)


def test_a_first_picture_of_other_proportions_is_noted_once(single, photos, tmp_path):
    start = str(tmp_path / "start.png")
    images.save_image(start, noise(40, 40, seed=5))
    config = dataclasses.replace(single.gatys, init=start, steps=1)
    job = dataclasses.replace(
        single,
        mode="gatys",
        gatys=config,
        contents=(str(photos / "*.png"),),
        output=f"{tmp_path / 'out'}/",
    )
    notes = [event.note for event in of_kind(run.run(job), run.Info)]
    stretched = [note for note in notes if "start.png" in note]
    assert len(stretched) == len(set(stretched)) > 0
    assert all("of 40x40 pixels is stretched to" in note for note in stretched)


def test_a_mask_that_is_cut_short_is_noted_once(single, photos, tmp_path):
    photo = images.load_image(single.contents[0])
    mask = np.random.default_rng(0).integers(0, 256, photo.shape[1:3], np.uint8)
    path = tmp_path / "mask.bmp"
    Image.fromarray(mask).save(path)
    path.write_bytes(path.read_bytes()[:-40])
    job = dataclasses.replace(single, masks=(str(path),))
    notes = [event.note for event in of_kind(run.run(job), run.Info)]
    assert len([note for note in notes if "mask.bmp is cut short" in note]) == 1


@pytest.mark.parametrize("mode", ["gatys", "compare"])
def test_an_interrupted_job_still_writes_its_best_picture(job, mode, tmp_path):
    job = dataclasses.replace(job, mode=mode)
    stop, last, written = StopToken(), None, []
    for event in run.run(job, stop=stop):
        if isinstance(event, gatys.Step):
            assert not stop.requested
            last = event
            if last.index == 2:
                stop.set()
        elif stop.requested and not isinstance(event, run.Info):
            written.append(event)
    path = tmp_path / "out" / "cat_ink.png"
    assert written[0].path == path
    assert account_of(path)["interrupted"] is True
    slow = path if mode == "gatys" else path.with_name("cat_ink_gatys.png")
    np.testing.assert_array_equal(
        images.load_image(slow) * 255, images.to_uint8(last.best)
    )
    assert not (tmp_path / "out" / "cat_oil.png").exists()


def test_an_interrupted_job_ends_even_if_its_picture_cannot_be_written(
    job, monkeypatch
):
    stop = StopToken()
    events = run.run(dataclasses.replace(job, mode="gatys"), stop=stop)
    while not isinstance(next(events), gatys.Step):
        pass

    def full_disk(*_):
        raise OSError("cannot write cat_ink.png: No space left on device")

    monkeypatch.setattr(images, "write_image", full_disk)
    stop.set()
    [failed] = events
    assert "cat_ink.png: No space left on device" in failed.reason


def test_who_is_stopped_before_the_first_picture_writes_nothing(single, tmp_path):
    stop = StopToken()
    stop.set()
    events = list(run.run(dataclasses.replace(single, mode="gatys"), stop=stop))
    assert not of_kind(events, (run.Started, run.Written))
    assert not list((tmp_path / "out").iterdir())


def test_who_is_stopped_in_the_first_step_gets_its_picture(single, tmp_path):
    stop = StopToken()
    events = run.run(dataclasses.replace(single, mode="gatys"), stop=stop)
    while not isinstance(next(events), run.Started):
        pass
    stop.set()
    [step, written] = events
    assert (step.index, written.path) == (0, tmp_path / "out" / "picture.png")
    assert account_of(written.path)["steps"] == 0


def test_compare_writes_panel_pictures_plot_and_numbers(single, tmp_path):
    events = list(run.run(dataclasses.replace(single, mode="compare")))
    out = tmp_path / "out"
    names = ["picture.png"]
    names += [f"picture_{name}.png" for name in ("hub", "neighbors", "gatys", "loss")]
    written = of_kind(events, run.Written)
    assert [w.path for w in written] == [out / name for name in names]
    assert [w.seconds is not None for w in written] == [True] + [False] * 4
    panel, *pictures, plot = map(images.load_image, (w.path for w in written))
    for column, picture in enumerate(pictures, 2):
        left = 12 + column * 172
        found = panel[:, 166 : 166 + 37, left : left + 50]
        np.testing.assert_array_equal(found, picture)
    assert plot.shape == (1, 540, 840, 3)
    account = account_of(out / "picture.png")
    assert len(account["history"]) == 4
    for result in account["results"].values():
        assert result["distances"].keys() == {"fidelity", "coverage", "structure"}
    told = [event.note for event in of_kind(events, run.Info)][-4:]
    assert [note.partition(":")[0] for note in told[:3]] == [*account["results"]]
    assert "fidelity" in told[0] and "judges itself" in told[3]
    names = {engine: model["name"] for engine, model in account["models"].items()}
    backbones = dict.fromkeys(["neighbors", "gatys"], single.gatys.backbone)
    assert names == {"hub": single.hub.model} | backbones


def test_compare_does_not_overwrite_an_input(single, photos, tmp_path):
    photo = tmp_path / "photo_hub.png"
    shutil.copy(photos / "cat.png", photo)
    before = photo.read_bytes()
    job = dataclasses.replace(
        single,
        mode="compare",
        contents=(str(photo),),
        output=str(tmp_path / "photo.png"),
    )
    with pytest.raises(ValueError, match="would overwrite an input"):
        list(run.run(job))
    assert photo.read_bytes() == before


def test_the_contact_sheet_does_not_overwrite_an_input(job, photos):
    photo = photos / "contact_sheet.png"
    shutil.copy(photos / "cat.png", photo)
    before = photo.read_bytes()
    try:
        list(run.run(dataclasses.replace(job, output=str(photos))))
    except ValueError:
        pass  # refusing is as good as choosing another name
    assert photo.read_bytes() == before


def test_pictures_of_compare_do_not_overwrite_each_other(single, paintings, tmp_path):
    shutil.copy(paintings / "ink.png", paintings / "ink_hub.png")
    styles = tuple(str(paintings / name) for name in ("ink.png", "ink_hub.png"))
    job = dataclasses.replace(
        single, mode="compare", styles=styles, output=str(tmp_path / "out")
    )
    written = [event.path for event in of_kind(run.run(job), run.Written)]
    assert len(set(written)) == len(written) == 11


@pytest.mark.parametrize("mode", ["hub", "gatys", "compare"])
def test_transparency_of_the_photo_comes_through(single, mode, tmp_path):
    alpha = np.linspace(0, 1, 30 * 44, dtype=np.float32).reshape(1, 30, 44, 1)
    photo = tmp_path / "glass.png"
    images.save_image(photo, noise(30, 44, 8), alpha)
    job = dataclasses.replace(single, mode=mode, contents=(str(photo),))
    written = of_kind(run.run(job), run.Written)
    pictures = written[1:4] if mode == "compare" else written
    for picture in pictures:
        np.testing.assert_array_equal(
            images.load_picture(picture.path).alpha, images.load_picture(photo).alpha
        )


def test_a_manifest_tells_inputs_models_settings_and_versions(single, stub_model):
    [written] = of_kind(run.run(single), run.Written)
    account = account_of(written.path)
    for name, [source] in (("content", single.contents), ("style", single.styles)):
        with open(source, "rb") as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
        assert account["inputs"][name] == {"source": source, "sha256": digest}
    assert account["settings"] == {
        "mode": "hub",
        "max_side": 0,
        "hub": {
            "model": str(stub_model),
            "style_size": 0,
            "strength": 1.0,
            "style_weights": [],
            "style_scale": 1.0,
            "preserve_color": "none",
            "color_strength": 1.0,
        },
    }
    [model] = account["models"].values()
    assert (model["name"], model["source"]) == (str(stub_model),) * 2
    assert model["sha256"] == files.sha256(stub_model)
    assert account["output"] == "picture.png"
    assert account["size"] == [50, 37]
    assert account["seconds"] == written.seconds
    assert account["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize("mode", ["hub", "gatys"])
def test_a_manifest_gives_the_same_picture_again(single, mode, tmp_path):
    noise = {"init": "noise", "seed": 11, "precision": "float32", "pooling": "max"}
    config = dataclasses.replace(single.gatys, **noise)
    job = dataclasses.replace(single, mode=mode, gatys=config, max_side=40)
    [first] = of_kind(run.run(job), run.Written)
    again = manifest.read(manifest.path_of(first.path), str(tmp_path / "again.png"))
    assert again.mode == mode and again.max_side == 40
    assert getattr(again, mode) == getattr(job, mode)
    [second] = of_kind(run.run(again), run.Written)
    assert second.path == tmp_path / "again.png"
    assert second.path.read_bytes() == first.path.read_bytes()


def test_the_manifest_names_what_auto_came_to(single, monkeypatch):
    monkeypatch.setattr(hardware, "fastest_dtype", lambda: "bfloat16")
    job = dataclasses.replace(single, mode="gatys")
    assert job.gatys.precision == job.gatys.pooling == "auto"
    [written] = of_kind(run.run(job), run.Written)
    again = manifest.read(manifest.path_of(written.path))
    assert (again.gatys.precision, again.gatys.pooling) == ("bfloat16", "max")


def test_the_slow_path_starts_from_the_fast_picture(single, stub_model):
    config = dataclasses.replace(single.gatys, init="hub", steps=1)
    job = dataclasses.replace(single, mode="gatys", gatys=config)
    *_, first, last = of_kind(run.run(job), gatys.Step)
    [written] = of_kind(run.run(dataclasses.replace(job, mode="hub")), run.Written)
    fast = images.load_image(written.path)
    np.testing.assert_allclose(first.image, fast, atol=0.6 / 255)
    assert np.abs(last.image - first.image).max() > 0.01
    list(run.run(job))
    models = account_of(written.path)["models"]
    assert models.keys() == {"hub", "gatys"}
    assert manifest.read(manifest.path_of(written.path)).methods == ("hub", "gatys")


def test_a_manifest_without_an_output_replaces_its_picture(single):
    [first] = of_kind(run.run(single), run.Written)
    before = first.path.read_bytes()
    first.path.unlink()
    list(run.run(manifest.read(manifest.path_of(first.path))))
    assert first.path.read_bytes() == before


@pytest.mark.parametrize("which", ["contents", "styles"])
def test_a_changed_input_is_not_painted_again(single, which, tmp_path):
    [first] = of_kind(run.run(single), run.Written)
    [changed] = getattr(single, which)
    images.save_image(changed, noise(37, 50, 99))
    account = manifest.path_of(first.path)
    events = list(run.run(manifest.read(account, str(tmp_path / "again.png"))))
    [failed] = of_kind(events, run.Failed)
    assert failed.reason.startswith(f"{changed} has changed since the manifest")
    assert not (tmp_path / "again.png").exists()


@pytest.mark.parametrize("absolute", [True, False])
def test_a_changed_model_is_not_used_again(
    single, stub_model, absolute, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stub_model, tmp_path / "model")
    config = HubConfig(model=str(tmp_path / "model") if absolute else "model")
    [first] = of_kind(run.run(dataclasses.replace(single, hub=config)), run.Written)
    (tmp_path / "model" / "fingerprint.pb").unlink()  # it loads without
    hub.load_model.cache_clear()
    again = manifest.read(manifest.path_of(first.path), str(tmp_path / "again.png"))
    with pytest.raises(ValueError, match="model has changed since the manifest"):
        list(run.run(again))


def test_more_paintings_than_are_kept_in_memory_are_all_painted(
    single, tmp_path, monkeypatch
):
    monkeypatch.setattr(inputs, "STYLES_IN_MEMORY", 1)
    folder = tmp_path / "many"
    for seed in range(3):
        images.save_image(folder / f"{seed}.png", np.full((1, 50, 50, 3), seed / 2))
    job = dataclasses.replace(
        single, styles=(str(folder),), output=str(tmp_path / "out")
    )
    means = [
        images.load_image(event.path).mean()
        for event in of_kind(run.run(job), run.Written)
        if event.seconds is not None
    ]
    assert np.diff(means) == pytest.approx([0.25, 0.25], abs=0.01)


def test_a_painting_that_vanishes_meanwhile_fails_alone(
    job, paintings, monkeypatch, tmp_path
):
    monkeypatch.setattr(inputs, "STYLES_IN_MEMORY", 1)
    job = dataclasses.replace(job, gatys=GatysConfig(), neighbors=NeighborsConfig())
    events = run.run(job)
    seen = [next(events)]
    (paintings / "oil.png").unlink()
    seen += events
    failed = of_kind(seen, run.Failed)
    assert len(failed) == 2
    for event in failed:
        assert event.reason.endswith(f"{paintings / 'oil.png'} does not exist")
    assert len(list((tmp_path / "out").glob("???_*.json"))) == 4


@pytest.fixture
def blend(single, paintings):
    """One photo in a mixture of two paintings."""
    styles = tuple(str(paintings / name) for name in ("ink.png", "wax.png"))
    config = dataclasses.replace(single.hub, style_weights=(1.0, 3.0), strength=0.5)
    return dataclasses.replace(single, styles=styles, hub=config)


def test_a_manifest_repeats_a_blend(blend, paintings):
    list(run.run(blend))
    path = files.local(blend.output)
    before = path.read_bytes()
    path.unlink()
    list(run.run(manifest.read(manifest.path_of(path))))
    assert path.read_bytes() == before
    images.save_image(paintings / "wax.png", noise(20, 20, 9))
    events = list(run.run(manifest.read(manifest.path_of(path))))
    [failed] = of_kind(events, run.Failed)
    assert "wax.png has changed" in failed.reason


@pytest.fixture
def slow_blend(blend):
    """The same on the slow path, from noise."""
    config = dataclasses.replace(
        blend.gatys, style_weights=(1.0, 3.0), init="noise", precision="float32"
    )
    return dataclasses.replace(blend, mode="gatys", gatys=config)


@pytest.mark.parametrize(
    "which, engine", [("blend", hub), ("slow_blend", gatys)], ids=["hub", "gatys"]
)
def test_styles_are_blended_by_their_weights(which, engine, photos, paintings, request):
    job = request.getfixturevalue(which)
    list(run.run(job))
    photo = images.load_image(photos / "cat.png")
    styles = [images.load_image(paintings / n) for n in ("ink.png", "wax.png")]
    expected = engine.stylize(photo, styles, getattr(job, job.mode))
    found = images.load_image(job.output)
    np.testing.assert_allclose(found, expected, atol=0.5 / 255 + 1e-6)


@pytest.fixture
def masks(tmp_path):
    """The left and the right half, of twice the size of the photo."""
    paths = []
    for name, half in (("left", slice(0, 50)), ("right", slice(50, 90))):
        mask = np.zeros((1, 74, 100, 3))
        mask[:, :, half] = 1
        paths.append(str(tmp_path / "masks" / f"{name}.png"))
        images.save_image(paths[-1], mask)
    return tuple(paths)


@pytest.mark.parametrize("slow", [False, True], ids=["hub", "gatys"])
def test_a_manifest_repeats_masks_and_refuses_those_that_changed(
    blend, slow_blend, photos, masks, slow, tmp_path
):
    job = dataclasses.replace(slow_blend if slow else blend, masks=masks)
    list(run.run(job))
    path = files.local(job.output)
    photo, picture = images.load_image(photos / "cat.png"), images.load_image(path)
    # Beyond both masks, but for what their scaling smears.
    np.testing.assert_array_equal(picture[:, :, 48:], photo[:, :, 48:])
    assert np.abs(picture - photo)[:, :, :44].mean() > 0.01
    account = manifest.path_of(path)
    again = manifest.read(account, str(tmp_path / "again.png"))
    assert again.masks == masks
    list(run.run(again))
    assert (tmp_path / "again.png").read_bytes() == path.read_bytes()
    images.save_image(masks[1], np.ones((1, 74, 100, 3)))
    (tmp_path / "again.png").unlink()
    with pytest.raises(ValueError, match="right.png has changed since the manifest"):
        list(run.run(again))
    assert not (tmp_path / "again.png").exists()


def test_a_mask_leaves_the_rest_of_each_picture_alone(job, masks, photos, tmp_path):
    (photos / "dog.png").unlink()
    list(run.run(dataclasses.replace(job, masks=masks[1:])))
    photo = images.load_image(photos / "cat.png")
    pictures = sorted((tmp_path / "out").glob("cat_*.png"))
    assert len(pictures) == 3  # One mask is for whatever is painted.
    for path in pictures:
        picture = images.load_image(path)
        np.testing.assert_array_equal(picture[:, :, :22], photo[:, :, :22])
        assert np.abs(picture - photo)[:, :, 28:44].mean() > 0.1
        account = account_of(path)
        assert account["inputs"]["mask"]["source"] == masks[1]


def test_what_auto_chose_is_told_once_and_stands_in_the_manifest(job, monkeypatch):
    job = dataclasses.replace(
        job, hub=HubConfig(), gatys=GatysConfig(), neighbors=NeighborsConfig()
    )
    monkeypatch.setattr(hub, "choose_model", lambda: ("builtin", "ours, for a reason"))
    chosen, *events = run.run(job)
    assert chosen == run.Info("ours, for a reason")
    assert not of_kind(events, run.Info)
    account = account_of(of_kind(events, run.Written)[0].path)
    assert account["settings"]["hub"]["model"] == "builtin"
    assert account["models"]["hub"]["name"] == "builtin"
