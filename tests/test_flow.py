"""Motion: found where it is known, doubted where it cannot be, and followed."""

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path

import films
import numpy as np
import pytest

from tf_style.video import flow

cv2 = pytest.importorskip("cv2")

ROOT = Path(__file__).resolve().parent.parent
HEIGHT, WIDTH = 72, 128
INSIDE = np.s_[12:-12, 12:-12]


def grid(height, width):
    """Returns x and y of each pixel, [H, W, 2]."""
    return np.stack(np.meshgrid(range(width), range(height)), -1).astype(np.float32)


def moved(down, across, trust=1.0, size=(HEIGHT, WIDTH)):
    """The motion of what was so many pixels further down and right before."""
    places = grid(*size) + np.float32([across, down])
    return flow.Motion(places, np.full((*size, 1), trust, np.float32))


def still(trust=1.0, size=(HEIGHT, WIDTH)):
    return moved(0, 0, trust, size)


def picture(seed=0, height=HEIGHT, width=WIDTH):
    return films.scene(height, width, seed)[None] / np.float32(255)


@pytest.mark.parametrize("step", [(0, 1), (2, 3), (5, 0), (4, 7)])
def test_a_move_of_the_camera_is_found_to_a_fraction_of_a_pixel(step):
    before, now = films.pan(2, HEIGHT, WIDTH, step)
    motion = flow.measure(before, now)
    assert motion.places.shape == (HEIGHT, WIDTH, 2)
    assert motion.trust.shape == (HEIGHT, WIDTH, 1)
    off = np.linalg.norm(motion.places - moved(*step).places, axis=-1)[INSIDE]
    assert np.median(off) < 0.1 and (off < 0.5).mean() > 0.99
    assert motion.trust[INSIDE].mean() > 0.98


def test_a_move_by_half_a_pixel_is_found_as_such():
    twice = films.scene(2 * HEIGHT, 2 * WIDTH + 6)
    before, now = (
        cv2.resize(twice[:, first : first + 2 * WIDTH], (WIDTH, HEIGHT), 0, 0, 0, 3)
        for first in (0, 3)
    )
    motion = flow.measure(before, now)
    off = (motion.places - grid(HEIGHT, WIDTH))[INSIDE]
    np.testing.assert_allclose(np.median(off, (0, 1)), [1.5, 0], atol=0.15)


def test_a_still_camera_has_no_motion_and_is_trusted_inside():
    (frame,) = films.pan(1, HEIGHT, WIDTH)
    motion = flow.measure(frame, frame)
    np.testing.assert_allclose(motion.places, grid(HEIGHT, WIDTH), atol=0.05)
    assert motion.trust[4:-4, 4:-4].min() > 0.999
    assert 0 <= motion.trust.min() and motion.trust.max() <= 1 + 1e-6


def test_what_comes_into_view_is_not_trusted():
    before, now = films.pan(2, HEIGHT, WIDTH, (0, 12))
    trust = flow.measure(before, now).trust[..., 0]
    assert trust[:, -11:].max() < 0.1
    assert trust[12:-12, 12:-24].mean() > 0.95


def passing(columns, contrast=60):
    """Frames in which a disc of radius 20, with its middle at some columns, passes."""
    scene = films.scene(HEIGHT, WIDTH, contrast=contrast)
    thing = films.scene(HEIGHT, 300, seed=9, contrast=contrast)
    x, y = np.moveaxis(grid(HEIGHT, WIDTH), -1, 0)
    for column in columns:
        disc = np.hypot(x - column, y - 36) < 20
        shown = thing[:, 150 - column :][:, :WIDTH]
        yield np.where(disc[..., None], shown, scene).astype(np.uint8)


# Of the lower no two colours are too far apart; the way there and back is.
@pytest.mark.parametrize("contrast, most", [(60, 0.15), (6, 0.35)])
def test_what_something_uncovers_is_not_trusted_and_the_rest_is(contrast, most):
    motion = flow.measure(*passing([50, 56], contrast))
    x, y = np.moveaxis(grid(HEIGHT, WIDTH), -1, 0)
    was, is_now = (np.hypot(x - column, y - 36) < 20 for column in (50, 56))
    uncovered = was & ~is_now & (np.abs(y - 36) < 15)
    assert uncovered.sum() > 100
    assert motion.trust[uncovered].mean() < most
    far = np.hypot(x - 53, y - 36) > 32
    far[:8] = far[-8:] = far[:, :8] = far[:, -8:] = False
    assert motion.trust[far].mean() > 0.98
    inside = np.hypot(x - 56, y - 36) < 10
    off = (motion.places - grid(HEIGHT, WIDTH))[inside]
    np.testing.assert_allclose(np.median(off, 0), [-6, 0], atol=0.3)
    assert motion.trust[inside].mean() > 0.9


def test_what_has_another_colour_than_where_it_came_from_is_not_trusted():
    """Even where nothing says that it has moved."""
    (before,) = films.pan(1, HEIGHT, WIDTH)
    now = before.astype(int)
    now[30:50, 40:70] += [flow.MAX_CHANGE + 16, 0, 0]
    now[30:50, 80:110] += [flow.MAX_CHANGE - 16, 0, 0]
    before, now = (np.clip(f, 0, 255).astype(np.uint8) for f in (before, now))
    change = now.astype(int) - before
    trust = flow.measure(before, now).trust[..., 0]
    strong = change[..., 0] == flow.MAX_CHANGE + 16
    assert trust[34:46, 44:66][strong[34:46, 44:66]].mean() < 0.1
    assert trust[34:46, 84:106].mean() > 0.95


@pytest.mark.parametrize(
    "size", [(1, 1), (3, 5), (8, 8), (8, 64), (12, 200), (200, 12), (15, 300), (16, 16)]
)
def test_frames_of_any_size_are_measured(size):
    """OpenCV's own method refuses small ones, and reads beyond the ends of narrow ones.

    In a process of its own, for that would end this one.
    """
    code = (
        "import films, numpy; from tf_style import flow; "
        f"frames = films.pan(2, *{size}, (0, 1)); "
        "motion = flow.measure(*frames); "
        f"assert motion.places.shape == (*{size}, 2); "
        f"assert motion.trust.shape == (*{size}, 1); "
        "assert numpy.isfinite(motion.places).all(); "
        "picture = frames[0][None] / numpy.float32(255); "
        "assert flow.carry(picture, motion).shape == picture.shape"
    )
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
    end = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert end.returncode == 0, end.stderr


def test_cuts_are_told_from_what_moves():
    frames = films.pan(2, HEIGHT, WIDTH, (6, 12))
    assert not flow.is_cut(*frames)
    assert not flow.is_cut(frames[0], frames[0])
    night = (frames[1] * np.array([0.2, 0.25, 0.4])).astype(np.uint8)
    assert flow.is_cut(frames[0], night) and flow.is_cut(night, frames[0])


@pytest.mark.parametrize("changed, cut", [(0.0, False), (0.25, False), (0.4, True)])
def test_a_cut_is_where_a_third_of_a_frame_is_new(changed, cut):
    before, now = (np.full((40, 200, 3), 20, np.uint8) for _ in range(2))
    now[:, : round(200 * changed)] = (200, 20, 20)
    assert flow.is_cut(before, now) is cut


@pytest.mark.parametrize("size", [(72, 128), (144, 256), (540, 960)])
def test_a_scene_of_the_same_colours_is_another_scene(size):
    scenes = [films.scene(*(n // 3 for n in size), seed, 90) for seed in (0, 1)]
    before, now = (cv2.resize(scene, size[::-1]) for scene in scenes)
    assert flow.is_cut(before, now) and not flow.is_cut(now, now)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (7, 9)])
def test_frames_of_any_size_can_be_told_to_be_a_cut(size):
    dark, light = (np.full((*size, 3), level, np.uint8) for level in (0, 255))
    assert flow.is_cut(dark, light) and not flow.is_cut(dark, dark)


def test_noise_on_a_flat_wall_is_no_motion():
    rng = np.random.default_rng(0)
    wall = films.scene(HEIGHT, WIDTH)
    wall[:, 40:] = 150
    before, now = (
        np.clip(wall + rng.normal(0, 2, wall.shape), 0, 255).astype(np.uint8)
        for _ in range(2)
    )
    off = (flow.measure(before, now).places - grid(HEIGHT, WIDTH))[:, 52:]
    assert np.abs(off).max() == 0
    assert flow.stillness(before, now)[:, 52:].mean() > 0.98


def test_large_frames_move_as_small_ones_do():
    size = 300, 2 * flow.MAX_SIDE
    before, now = (
        cv2.resize(frame, size[::-1], interpolation=cv2.INTER_CUBIC)
        for frame in films.pan(2, size[0] // 4, size[1] // 4, (1, 2))
    )
    motion = flow.measure(before, now)
    off = motion.places - moved(4, 8, size=size).places
    inside = np.s_[24:-24, 24:-24]
    assert np.median(np.linalg.norm(off, axis=-1)[inside]) < 0.5
    assert motion.trust[inside].mean() > 0.95


def test_what_moves_is_followed_over_many_frames_both_ways():
    frames = films.pan(7, HEIGHT, WIDTH, (1, 4))
    displacements = [flow.search(*pair) for pair in itertools.pairwise(frames)]
    since, until = flow.between(frames, displacements)
    assert len(since) == len(until) == 6
    for count in (1, 6):
        found = since[count - 1].places - moved(count, 4 * count).places
        inside = np.s_[12:-12, 12:-36]
        assert np.median(np.linalg.norm(found, axis=-1)[inside]) < 0.3
        assert since[count - 1].trust[inside].mean() > 0.9
        found = until[6 - count].places - moved(-count, -4 * count).places
        inside = np.s_[12:-12, 36:-12]
        assert np.median(np.linalg.norm(found, axis=-1)[inside]) < 0.3
        assert until[6 - count].trust[inside].mean() > 0.9


def test_between_two_pictures_is_what_either_shows_nearer_to_the_nearer():
    first, last = plain(0.2), plain(0.6)
    mixed, trust = flow.interpolate(first, last, still(), still(), 0.25)
    np.testing.assert_allclose(mixed, 0.3, atol=1e-3)
    assert trust.min() == 1
    # What only one of them shows is taken from it, whatever the time.
    mixed, trust = flow.interpolate(first, last, still(0), still(), 0.25)
    np.testing.assert_allclose(mixed, 0.6, atol=2e-3)
    assert trust.min() == 1
    mixed, trust = flow.interpolate(first, last, still(0), still(0), 0.25)
    np.testing.assert_allclose(mixed, 0.3, atol=1e-3)
    assert trust.max() == 0


def test_thin_rims_are_no_holes():
    trust = np.ones((HEIGHT, WIDTH, 1), np.float32)
    trust[:, 40:42] = 0
    assert not flow.has_holes(trust)
    trust[20:40, 60:80] = 0
    assert flow.has_holes(trust)


def test_a_slow_change_of_light_is_no_cut():
    (frame,) = films.pan(1, HEIGHT, WIDTH)
    brighter = np.clip(frame.astype(int) + 12, 0, 255).astype(np.uint8)
    assert not flow.is_cut(frame, brighter)


def test_whole_pixels_are_moved_as_they_are():
    before = picture()
    after = flow.warp(before, moved(2, 5))
    np.testing.assert_allclose(after[:, :-2, :-5], before[:, 2:, 5:], atol=1e-6)
    # What comes from beyond the rim is what is there.
    np.testing.assert_allclose(after[:, :-2, -1], before[:, 2:, -1], atol=1e-6)
    np.testing.assert_allclose(after[:, -1, :-5], before[:, -1, 5:], atol=1e-6)


def test_half_pixels_are_between_their_neighbours_and_within_the_range():
    edge = np.zeros((1, 16, 16, 3), np.float32)
    edge[:, :, 8:] = 1
    after = flow.warp(edge, moved(0, 0.5, size=(16, 16)))
    assert 0 <= after.min() and after.max() <= 1  # though cubic curves go beyond
    np.testing.assert_allclose(after[:, :, 7], 0.5, atol=1e-5)
    np.testing.assert_allclose(after[:, :, 3], 0, atol=1e-6)
    np.testing.assert_allclose(after[:, :, 12], 1, atol=1e-6)


def details_of(pixels):
    """Returns the mean size of what is finer than about two pixels."""
    smooth = cv2.GaussianBlur(pixels[0], (0, 0), 0.8)
    return np.abs(pixels[0] - smooth).mean()


def strokes(seed=0):
    """A picture of fine details, of middle brightness."""
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH, 3), np.float32)
    return (0.3 + 0.4 * cv2.GaussianBlur(noise, (0, 0), 0.7))[None]


def test_carried_again_and_again_a_picture_keeps_its_details():
    carried = warped = strokes()
    wanted = details_of(carried)
    for _ in range(6):
        carried = flow.carry(carried, moved(0, 0.5))
        warped = flow.warp(warped, moved(0, 0.5))
    assert details_of(warped) < 0.94 * wanted
    assert 0.95 * wanted < details_of(carried) < 1.06 * wanted
    sizes = [np.abs(cv2.Laplacian(x[0], -1)).mean() for x in (strokes(), carried)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)


def test_a_picture_that_is_sharp_enough_is_carried_as_it_is():
    before = strokes()
    np.testing.assert_allclose(flow.carry(before, still()), before, atol=1e-5)


def plain(value):
    """A picture without details, which need no strengthening."""
    return np.full((1, HEIGHT, WIDTH, 3), value, np.float32)


def test_the_first_frame_and_those_after_a_cut_are_shown_as_they_are_painted():
    blend = flow.Blend()
    for seed in range(3):
        painted = strokes(seed)
        assert blend.add(painted, None) is painted
    first = blend.add(plain(0.8), still())
    assert np.abs(first - 0.8).mean() > 0.1


@pytest.mark.parametrize("trust", [1.0, 0.5, 0.0])
def test_of_a_trusted_frame_most_is_the_one_before(trust):
    blend, share = flow.Blend(), flow.Blend.CARRIED * trust
    blend.add(plain(0.0), None)
    expected = 0.0
    for _ in range(4):
        expected = share * expected + (1 - share) * 0.5
        shown = blend.add(plain(0.5), still(trust))
        np.testing.assert_allclose(shown, expected, atol=1e-6)
    if trust == 1:
        assert 0.05 < expected < 0.2


def test_what_is_carried_is_where_it_is_now():
    blend, before = flow.Blend(), picture()
    blend.add(before, None)
    now = np.roll(before, (-2, -5), (1, 2))
    shown = blend.add(now, moved(2, 5))
    np.testing.assert_allclose(shown[:, 3:-5, 3:-8], now[:, 3:-5, 3:-8], atol=0.02)


def test_a_blend_of_strokes_that_do_not_match_is_as_sharp_as_they_are():
    blend = flow.Blend()
    blend.add(strokes(0), None)
    for seed in range(1, 6):
        painted = strokes(seed)
        shown = blend.add(painted, still())
    assert details_of(shown) > 0.95 * details_of(painted)
    # A mean of them is not.
    mean = np.mean([strokes(seed) for seed in range(6)], 0)
    assert details_of(mean) < 0.6 * details_of(painted)
    assert 0 <= shown.min() and shown.max() <= 1


def test_what_is_lacking_is_named_with_its_installation(monkeypatch):
    flow.check()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError) as error:
        flow.check()
    message = str(error.value)
    assert "pip install 'tf_style[video]'" in message and "--noflow" in message
    assert "\n" not in message
