"""The package as its users see it: `import tf_style as ts`."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tf_style as ts


def test_all_public_names_are_there():
    assert sorted(ts.__all__) == ts.__all__
    assert all(hasattr(ts, name) for name in ts.__all__)
    assert {*ts.__all__} <= {*dir(ts)}
    with pytest.raises(AttributeError, match="has no attribute 'stylise'"):
        _ = ts.stylise


def test_the_citation_names_this_version():
    citation = Path(__file__).resolve().parent.parent / "CITATION.cff"
    assert f'version: "{ts.__version__}"' in citation.read_text("utf-8").splitlines()


def test_stylize_is_the_method_with_settings_by_keyword(content, style):
    settings = {"model": "builtin", "strength": 0.5}
    expected = ts.hub.stylize(content, style, ts.HubConfig(**settings))
    painted = ts.stylize(content, style, **settings)
    np.testing.assert_array_equal(painted, expected)
    painted = ts.stylize(content, style, config=ts.HubConfig(**settings))
    np.testing.assert_array_equal(painted, expected)


def test_stylize_of_the_slow_method_takes_masks_and_a_first_picture(
    content, style, shallow
):
    mask = np.zeros(content.shape[1:3], np.float32)
    mask[:20] = 1
    start = np.full_like(content, 0.5)
    config = ts.GatysConfig(steps=2, **shallow)
    expected = ts.gatys.stylize(content, style, config, masks=mask, init=start)
    painted = ts.stylize(
        content, style, "gatys", masks=mask, init=start, steps=2, **shallow
    )
    np.testing.assert_array_equal(painted, expected)
    assert (painted[:, 20:] == content[:, 20:]).all()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            {"method": "Gatys"},
            "method is 'Gatys'; it must be hub or neighbors or gatys; did you",
        ),
        ({"method": 3}, "method is 3; it must be hub or neighbors or gatys"),
        ({"strenght": 1}, "no setting 'strenght'; did you mean 'strength'?"),
        (
            {"steps": 9},
            "method hub has no setting 'steps'; method neighbors or gatys has",
        ),
        ({"xyz": 9}, "no setting 'xyz'; it has color_strength, model, "),
        ({"strength": 9}, "strength is 9; it must be from 0 to 1"),
        ({"config": ts.HubConfig(), "strength": 1}, "strength are both given"),
        ({"config": {"strength": 1}}, "config is a dict; give its items by keyword"),
        ({"config": ts.GatysConfig()}, "config is a GatysConfig; it must be a HubC"),
    ],
)
def test_stylize_says_what_is_wrong_in_one_line(content, style, arguments, words):
    with pytest.raises(ts.Error) as raised:
        ts.stylize(content, style, **arguments)
    assert words in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("method", ["hub", "gatys"])
def test_paths_in_place_of_pictures_are_told_of_load_image(content, method):
    for pair in (("photo.jpg", content), (content, ["painting.jpg"])):
        with pytest.raises(ts.Error, match=r".jpg'; .*load_image"):
            ts.stylize(*pair, method)


def test_home_folder_is_known_in_all_paths(tmp_path, monkeypatch, content):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    ts.save_image("~/out.png", Image.new("RGB", (3, 2)))
    assert ts.load_image("~/out.png").shape == (1, 2, 3, 3)
    code = ts.hub.encode(content, ts.HubConfig(model="builtin"))
    ts.hub.save_code("~/code.npz", code)
    assert ts.hub.load_code("~/code.npz").model == code.model
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code.npz", "out.png"]
    for wrong in (
        {"method": "hub", "model": "~/none"},
        {"method": "gatys", "backbone": "~/none.h5"},
    ):
        with pytest.raises(FileNotFoundError, match="~/none"):
            ts.stylize(content, content, **wrong)


ODD_PATHS = {
    "missing": "none/picture.png",
    "a folder": "folder.png",
    "below a file": "file/picture.png",
    "too long": "x" * 300 + ".png",
    "with a null character": "a\0b.png",
}
READING = {
    "load_image": ts.load_image,
    "load_code": ts.hub.load_code,
    "manifest": ts.manifest.read,
    "model": lambda path: ts.hub.load_model(str(path)),
    "backbone": lambda path: ts.features.load_backbone(str(path), ("conv1_1",)),
}


@pytest.mark.parametrize("place", ODD_PATHS)
@pytest.mark.parametrize("read", READING)
def test_what_cannot_be_read_is_an_error_of_ours(read, place, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ts.Error) as raised:
        READING[read](tmp_path / ODD_PATHS[place])
    assert "picture.png" in str(raised.value) or place not in ("missing", "below")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("place", [*ODD_PATHS][1:])
@pytest.mark.parametrize("write", ["save_image", "save_code", "save_plot"])
def test_what_cannot_be_written_is_an_error_of_ours(write, place, content, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    path, result = tmp_path / ODD_PATHS[place], ts.compare.Result(content, {}, 1, None)
    losses = {"style": 1.0, "content": 1.0}
    result = result._replace(losses=losses)
    comparison = ts.compare.Comparison(
        dict.fromkeys(["hub", "gatys"], result), [], None, 0, [], False
    )
    with pytest.raises(ts.Error) as raised:
        if write == "save_image":
            ts.save_image(path, content)
        elif write == "save_code":
            ts.hub.save_code(path, ts.hub.StyleCode("x", [content], [1.0]))
        else:
            ts.compare.save_plot(path, comparison)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("method", ["hub", "neighbors", "gatys"])
def test_within_a_graph_one_line_says_so(content, style, method):
    settings = {"steps": 1, "backbone": "builtin"}
    if method == "hub":
        settings = {"model": "builtin"}
    with tf.Graph().as_default(), pytest.raises(ts.Error) as caught:
        ts.stylize(content, style, method, **settings)
    assert str(caught.value).startswith("pictures are painted eagerly; call this out")


@pytest.mark.parametrize("path", [None, 3, np.zeros((4, 4, 3))])
def test_what_is_no_path_is_refused(content, path):
    for call in (ts.load_image, lambda path: ts.save_image(path, content)):
        with pytest.raises(ts.Error, match="^a path is text or a Path, and not "):
            call(path)


def test_paths_may_be_bytes(content, tmp_path):
    path = bytes(tmp_path / "a.png")
    ts.save_image(path, content)
    assert ts.load_image(path).shape == content.shape
