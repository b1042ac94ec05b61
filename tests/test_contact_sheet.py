"""The contact sheet: who stands in which row and column, from what was written."""

import numpy as np
import pytest

from tf_style import images
from tf_style.config import Job
from tf_style.images import grid
from tf_style.jobs import contact_sheet, modes, plan
from tf_style.jobs.events import Failed, Written

PHOTOS, PAINTINGS = ("deep/cat.jpg", "dog.jpg"), ("ink.png", "oil.png", "wax.png")


def make_job(folder, **values):
    job = {"contents": PHOTOS, "styles": PAINTINGS, "output": f"{folder}/out/"}
    return Job(**job | values)


def plain(value, height=20, width=30):
    return np.full((1, height, width, 3), value / 255, np.float32)


@pytest.fixture
def drawn(monkeypatch):
    """The sheets that are drawn, each a list of rows of `grid.Cell`."""
    sheets, draw = [], grid.draw
    monkeypatch.setattr(grid, "draw", lambda rows: sheets.append(rows) or draw(rows))
    return sheets


@pytest.fixture
def made(tmp_path):
    """Makes all pictures of a job, each of a grey of its own; returns its album.

    Greys of photos are 1, 2 and so on, of paintings 11 and on, of pictures 21 and on.
    """

    def make(job, missing=()):
        pairs = plan.assign(job, job.contents, job.styles)
        shown = contact_sheet.ContactSheet(job, pairs)
        for first, sources in ((1, job.contents), (11, job.styles)):
            for value, source in enumerate(sources, first):
                if source not in missing:
                    shown.add(source, plain(value))
        for pair in pairs:
            path = modes.of(job).picture_path(pair.output)
            images.save_image(path, plain(21 + pair.index))
        return shown, [pair.output for pair in pairs]

    return make


def captions(rows):
    return [[cell.caption for cell in row] for row in rows]


def greys(rows):
    return [
        [cell.picture is not None and round(cell.picture.mean() * 255) for cell in row]
        for row in rows
    ]


def test_photos_head_rows_and_paintings_columns(made, drawn, tmp_path):
    shown, outputs = made(make_job(tmp_path))
    path = tmp_path / "out" / "contact_sheet.png"
    assert list(shown.write({*outputs})) == [Written(path, None)]
    [rows] = drawn
    assert captions(rows) == [
        ["", "ink", "oil", "wax"],
        ["cat", "", "", ""],
        ["dog", "", "", ""],
    ]
    assert greys(rows) == [[False, 11, 12, 13], [1, 21, 22, 23], [2, 24, 25, 26]]
    np.testing.assert_array_equal(
        images.load_image(path) * 255, images.to_uint8(grid.draw(rows))
    )


def test_what_failed_leaves_its_place_empty_and_says_so(made, drawn, tmp_path):
    missing = ("dog.jpg", "oil.png")
    shown, outputs = made(make_job(tmp_path), missing)
    # Of others' earlier runs there may be files all the same.
    assert len(list(shown.write({outputs[0], outputs[2]}))) == 1
    [rows] = drawn
    assert captions(rows) == [
        ["", "ink", "oil (failed)", "wax"],
        ["cat", "", "", ""],
        ["dog (failed)", "", "", ""],
    ]
    assert greys(rows) == [
        [False, 11, False, 13],
        [1, 21, False, 23],
        [False, False, False, False],
    ]


def test_a_mixture_is_named_by_its_styles_and_has_no_picture(made, drawn, tmp_path):
    shown, outputs = made(make_job(tmp_path, style_blend=True), missing=("oil.png",))
    list(shown.write({*outputs}))
    [rows] = drawn
    assert captions(rows) == [
        ["", "ink + oil + wax (failed)"],
        ["cat", ""],
        ["dog", ""],
    ]
    assert greys(rows) == [[False, False], [1, 21], [2, 22]]


def test_of_comparisons_the_slow_picture_is_shown(made, drawn, tmp_path):
    shown, outputs = made(make_job(tmp_path, mode="compare"))
    list(shown.write({*outputs}))
    assert not outputs[0].exists()  # the panel, which nobody asked for
    assert greys(drawn[0])[1:] == [[1, 21, 22, 23], [2, 24, 25, 26]]


def test_a_sweep_has_the_painting_in_its_corner(made, drawn, tmp_path):
    one = {"contents": PHOTOS[:1], "styles": PAINTINGS[:1], "mode": "gatys"}
    shown, outputs = made(make_job(tmp_path, **one, sweep=("steps=1,2",)))
    list(shown.write({*outputs}))
    [rows] = drawn
    assert captions(rows) == [["ink", "", ""], ["cat", "steps=1", "steps=2"]]
    assert greys(rows) == [[11, False, False], [1, 21, 22]]


def test_of_two_swept_settings_the_second_heads_the_rows(made, drawn, tmp_path):
    one = {"contents": PHOTOS[:1], "styles": PAINTINGS[:1], "mode": "gatys"}
    shown, outputs = made(make_job(tmp_path, **one, sweep=("steps=1,2", "seed=3,4")))
    list(shown.write({*outputs}))
    [rows] = drawn
    assert captions(rows) == [
        ["cat", "steps=1", "steps=2"],
        ["seed=3", "", ""],
        ["seed=4", "", ""],
    ]
    # The first setting is the outermost, so that the second follows down a column.
    assert greys(rows) == [[1, False, False], [False, 21, 23], [False, 22, 24]]


def test_the_sheet_shows_what_the_files_hold(made, drawn, tmp_path):
    shown, outputs = made(make_job(tmp_path))
    images.save_image(outputs[1], plain(200))
    list(shown.write({*outputs}))
    assert greys(drawn[0])[1] == [1, 21, 200, 23]


def test_a_picture_that_cannot_be_read_costs_the_sheet_and_no_more(made, tmp_path):
    shown, outputs = made(make_job(tmp_path))
    outputs[3].write_bytes(b"no picture")
    [failed] = shown.write({*outputs})
    assert isinstance(failed, Failed)
    assert failed.reason.startswith(f"contact sheet: {outputs[3]} is not a picture")
    assert not (tmp_path / "out" / "contact_sheet.png").exists()


def test_of_one_picture_there_is_no_sheet(made, drawn, tmp_path):
    one = {"contents": PHOTOS[:1], "styles": PAINTINGS[:1]}
    shown, outputs = made(make_job(tmp_path, **one))
    assert list(shown.write({*outputs})) == drawn == []


def test_of_nothing_that_was_written_there_is_no_sheet(made, drawn, tmp_path):
    shown, _ = made(make_job(tmp_path))
    assert list(shown.write(set())) == drawn == []


@pytest.mark.parametrize("count", [plan.MAX_IN_SHEET, plan.MAX_IN_SHEET + 1])
@pytest.mark.parametrize("kind", ["contents", "styles"])
def test_of_too_many_rows_or_columns_there_is_no_sheet(tmp_path, count, kind):
    many = tuple(f"{number}.jpg" for number in range(count))
    other = {"contents": "styles", "styles": "contents"}[kind]
    job = make_job(tmp_path, **{kind: many, other: ("x.png", "y.png")})
    pairs = plan.assign(job, job.contents, job.styles)
    if count == 100:
        assert plan.sheet_path(pairs) == tmp_path / "out" / "contact_sheet.png"
    else:
        shown = contact_sheet.ContactSheet(job, pairs)
        assert plan.sheet_path(pairs) is None
        assert list(shown.write({pair.output for pair in pairs})) == []


def test_a_sweep_of_many_values_in_both_directions_has_a_sheet(tmp_path):
    values = [",".join(f"0.{n:03}" for n in range(count)) for count in (11, 10)]
    sweep = (f"strength={values[0]}", f"color_strength={values[1]}")
    job = make_job(tmp_path, contents=("a.png",), styles=("b.png",), sweep=sweep)
    pairs = plan.assign(job, job.contents, job.styles)
    assert len(pairs) == 110 and plan.sheet_path(pairs)


@pytest.mark.parametrize("size", [(400, 600), (600, 400)])
def test_pictures_are_shown_small(made, drawn, tmp_path, size):
    shown, outputs = made(make_job(tmp_path))
    images.save_image(outputs[0], plain(50, *size))
    shown.add(PHOTOS[0], plain(60, *size))
    list(shown.write({*outputs}))
    expected = tuple(round(side * 256 / 600) for side in size)
    for cell in drawn[0][1][:2]:
        assert cell.picture.shape == (1, *expected, 3)


def test_of_many_pictures_each_is_smaller(drawn, tmp_path):
    many = tuple(f"{number}.jpg" for number in range(99))
    job = make_job(tmp_path, contents=many, styles=PAINTINGS[:1])
    pairs = plan.assign(job, job.contents, job.styles)
    shown = contact_sheet.ContactSheet(job, pairs)
    for pair in pairs:
        shown.add(pair.content, plain(1, 5, 300))
    images.save_image(pairs[0].output, plain(2, 300, 5))
    [written] = shown.write({pairs[0].output})
    [rows] = drawn
    # A hundred rows, with the head, share 8192 pixels.
    assert rows[1][0].picture.shape[1:3] == (1, 81)
    assert rows[1][1].picture.shape[1:3] == (81, 1)
    assert written.path.is_file()
