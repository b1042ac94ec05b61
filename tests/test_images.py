"""Pictures: every kind of file becomes the same array, and comes back as it was."""

import functools
import http.server
import importlib.util
import io
import re
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageCms, JpegImagePlugin, TiffImagePlugin

from tf_style import images
from tf_style.images import decode

LOSSY = dict.fromkeys((".jpg", ".jpeg", ".webp", ".heic", ".avif"), 4 / 255)


@pytest.fixture
def quarters():
    """Four colours in 16x24 pixels, uint8: no turn or mirror image of it is the same.

    The borders lie on JPEG's blocks of 8x8, so that it hardly blurs them at 4:4:4.
    """
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8], pixels[:8, 8:] = (200, 40, 40), (40, 160, 40)
    pixels[8:, :8], pixels[8:, 8:] = (40, 40, 200), (230, 230, 230)
    return pixels


@pytest.mark.parametrize("ending", decode.READABLE)
def test_every_format_is_read_with_its_pixels(tmp_path, quarters, ending):
    path = tmp_path / f"a{ending}"
    if ending == ".avif" and not importlib.util.find_spec("PIL._avif"):
        pytest.skip("this Pillow reads no AVIF")
    if ending == ".heic":
        heif = pytest.importorskip("pillow_heif", reason="pip install '.[heif]'")
        heif.from_pillow(Image.fromarray(quarters)).save(path, quality=90, chroma=444)
    else:
        options = {"quality": 100} if ending == ".avif" else {"lossless": True}
        subsampling = "4:4:4" if ending == ".avif" else 0
        Image.fromarray(quarters).save(path, subsampling=subsampling, **options)
    pixels = images.load_image(path)
    assert (pixels.shape, pixels.dtype) == ((1, 16, 24, 3), np.float32)
    np.testing.assert_allclose(pixels[0], quarters / 255, atol=LOSSY.get(ending, 1e-6))


@pytest.mark.parametrize("ending", [".gif", ".png", ".webp", ".tiff"])
def test_first_frame_of_several_is_taken(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(images.load_image(path)[0, 1, 1], [1, 0, 0], atol=0.02)


@pytest.mark.parametrize(
    "orientation, shown",
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_exif_orientation_is_applied(tmp_path, quarters, orientation, shown):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(quarters).save(tmp_path / "a.jpg", exif=exif, subsampling=0)
    pixels = images.load_image(tmp_path / "a.jpg")[0]
    np.testing.assert_allclose(pixels, shown(quarters) / 255, atol=4 / 255)


def _palette_with_a_clear_colour():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.info["transparency"] = bytes([255, 51])
    return image


@pytest.mark.parametrize(
    "name, image, colour, alpha",
    [
        ("a.png", Image.new("L", (8, 8), 51), (0.2, 0.2, 0.2), None),
        ("a.png", Image.new("1", (8, 8), 1), (1, 1, 1), None),
        ("a.png", Image.new("LA", (8, 8), (0, 51)), (0.8, 0.8, 0.8), 0.2),
        ("a.png", Image.new("RGBA", (8, 8), (255, 0, 0, 51)), (1, 0.8, 0.8), 0.2),
        ("a.png", Image.new("RGBA", (8, 8), (255, 0, 0, 0)), (1, 0, 0), None),
        ("a.png", Image.new("RGBA", (8, 8), (255, 0, 0, 255)), (1, 0, 0), None),
        ("a.png", _palette_with_a_clear_colour(), (0.8, 0.8, 1), 0.2),
        ("a.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), (1, 0, 0), None),
        ("a.tif", Image.new("CMYK", (8, 8), (0, 0, 255, 51)), (0.8, 0.8, 0), None),
        # Pure red in CIELAB is 53.2, 80.1, 67.2; Pillow keeps 2.55 L, a + 128, b + 128.
        ("a.tif", Image.new("LAB", (8, 8), (136, 208, 195)), (1, 0, 0), None),
    ],
)
def test_every_kind_of_pixel_becomes_rgb_on_white(tmp_path, name, image, colour, alpha):
    image.save(tmp_path / name)
    picture = images.load_picture(tmp_path / name)
    tolerance = 0.05 if image.mode == "LAB" else 0.01
    expected = np.broadcast_to(np.float32(colour), (1, 8, 8, 3))
    np.testing.assert_allclose(picture.pixels, expected, atol=tolerance)
    if alpha is None:
        assert picture.alpha is None
    else:
        np.testing.assert_allclose(picture.alpha, np.full((1, 8, 8, 1), alpha))


@pytest.mark.parametrize(
    "name, stored, shown",
    [
        ("a.png", np.uint16([[65535, 32768, 13107, 1]]), [1, 0.5, 0.2, 0]),
        ("a.tif", np.uint16([[65535, 32768, 13107, 1]]), [1, 0.5, 0.2, 0]),
        (
            "a.tif",
            np.uint16([[65535, 32768, 13107, 1]]).astype(">u2"),
            [1, 0.5, 0.2, 0],
        ),
        ("a.tif", np.uint16([[100, 300]]), [100 / 65535, 300 / 65535]),
        ("a.tif", np.float32([[0, 0.25, 0.5, 1]]), [0, 0.25, 0.5, 1]),
        ("a.tif", np.float32([[0, 51, 127.5, 255]]), [0, 0.2, 0.5, 1]),
        ("a.tif", np.float32([[0, 0.5, 1, 1.01]]), [0, 0.5, 1, 1]),
        ("a.tif", np.float32([[0, 0.5, 1, 3.9]]), [0, 0.5, 1, 1]),
        ("a.tif", np.float32([[0, 5, 10]]), [0, 0.5, 1]),
        ("a.tif", np.float32([[0, 51, 256]]), [0, 0.2, 1]),
        ("a.tif", np.int32([[0, 51, 255]]), [0, 0.2, 1]),
        ("a.tif", np.int32([[0, 1]]), [0, 1]),
    ],
)
def test_deep_grey_keeps_its_range(tmp_path, name, stored, shown):
    Image.fromarray(stored).save(tmp_path / name)
    pixels = images.load_image(tmp_path / name)
    expected = np.repeat(np.float32(shown)[None, None, :, None], 3, -1)
    np.testing.assert_allclose(pixels, expected, atol=1e-4)


def test_16_bit_colour_is_read(tmp_path):
    rows = b"\0" + np.array([65535, 32768, 0, 257, 13107, 65535], ">u2").tobytes()
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + tag + data + struct.pack(">I", check)
            for tag, data in chunks
            for check in [zlib.crc32(tag + data)]
        )
    )
    pixels = images.load_image(tmp_path / "a.png")
    expected = [[1, 0.5, 0], [1 / 255, 0.2, 1]]
    np.testing.assert_allclose(pixels[0, 0], expected, atol=0.5 / 255)


def _srgb(primaries=(b"rXYZ", b"gXYZ", b"bXYZ")):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for index, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ")):
        profile = profile.replace(tag, b"tag%d" % index)
    for index, tag in enumerate(primaries):
        profile = profile.replace(b"tag%d" % index, tag)
    return profile


@pytest.mark.parametrize(
    "profile, colour",
    [
        (_srgb(), (1, 0, 0)),
        (_srgb((b"gXYZ", b"rXYZ", b"bXYZ")), (0, 1, 0)),
        (_srgb((b"bXYZ", b"gXYZ", b"rXYZ")), (0, 0, 1)),
        (_srgb((b"gXYZ", b"rXYZ", b"bXYZ"))[:300], (1, 0, 0)),
        (b"no profile at all", (1, 0, 0)),
    ],
    ids=["sRGB", "red and green swapped", "red and blue swapped", "cut off", "broken"],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour_profile_is_converted_unless_broken(tmp_path, mode, profile, colour):
    image = Image.new("RGB", (4, 4), (255, 0, 0)).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=profile)
    pixels = images.load_image(tmp_path / "a.png")
    np.testing.assert_allclose(pixels[0, 2, 2], colour, atol=0.01)


def test_profile_of_another_colour_space_is_ignored(tmp_path):
    path = tmp_path / "a.tif"
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(path, icc_profile=_srgb())
    np.testing.assert_allclose(images.load_image(path)[0, 2, 2], [1, 0, 0], atol=0.01)


def _encoded(format_name):
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, format_name)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data, reason",
    [(b"", "is empty (0 bytes)"), (b"just text", "is not a picture")]
    + [(_encoded("PNG")[:30], "is not a picture")]
    + [
        (_encoded(name)[: len(_encoded(name)) // 2], "cannot be decoded: ")
        for name in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
    ],
)
def test_damaged_file_is_one_line_that_names_it(tmp_path, data, reason):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        images.load_image(path)
    assert str(caught.value).startswith(f"{path} {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "kind, lacks, sound",
    [
        ("PNG", 250, slice(0, 36)),
        ("JPEG", 30, slice(0, 30)),
        ("BMP", 250, slice(4, 40)),  # It begins with its last row.
    ],
)
def test_a_file_that_is_slightly_cut_is_read_with_a_note(tmp_path, kind, lacks, sound):
    (tmp_path / "a").write_bytes(_encoded(kind))
    whole = images.load_image(tmp_path / "a")
    (tmp_path / "a").write_bytes(_encoded(kind)[:-lacks])
    picture = images.load_picture(tmp_path / "a")
    assert picture.note.startswith(f"{tmp_path / 'a'} is cut short")
    np.testing.assert_array_equal(picture.pixels[:, sound], whole[:, sound])


def _chunk(name, body, wrong=0):
    """A chunk of a PNG, with a checksum that is off by something."""
    checksum = zlib.crc32(name + body) ^ wrong
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


@pytest.mark.parametrize(
    "chunk",
    [
        _chunk(b"tEXt", b"Title\0harbour", wrong=1),
        _chunk(b"zTXt", b"Title\0\0" + zlib.compress(bytes(2 << 20))),
        _chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2 << 20))),
        _chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    ],
)
def test_what_is_broken_around_the_pixels_costs_nothing(tmp_path, chunk):
    data = _encoded("PNG")
    (tmp_path / "a").write_bytes(data)
    whole = images.load_image(tmp_path / "a")
    (tmp_path / "a").write_bytes(data[:33] + chunk + data[33:])
    picture = images.load_picture(tmp_path / "a")
    assert picture.note == ""
    np.testing.assert_array_equal(picture.pixels, whole)


@pytest.mark.parametrize("exif", [b"MM\0*" + b"\xff" * 30, b"none", b""])
def test_broken_exif_leaves_a_picture_as_it_lies(tmp_path, quarters, exif):
    path = tmp_path / "a.jpg"
    Image.fromarray(quarters).save(path, exif=b"Exif\0\0" + exif)
    assert images.load_image(path).shape == (1, 16, 24, 3)


@pytest.mark.parametrize(
    "data, what",
    [
        (b"\n<!DOCTYPE html><title>404</title>", "is a web page; give the address"),
        (b"<?xml version='1.0'?>\n<svg/>", "is SVG; export it as PNG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"%PDF-1.7", "is PDF"),
        (b"8BPS\0\1", "is a Photoshop file"),
        (b"\0\0\0\x18ftypcrx ", "is a camera's raw file; export it as JPEG"),
        (b"\0\0\0\x18ftypisom", "is a film, not a picture"),
        (b"II*\0\x08\0\0\0\0\0", "is a TIFF that Pillow cannot read"),
    ],
)
def test_what_is_taken_for_a_picture_is_told_what_it_is(tmp_path, data, what):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=f"a.png {re.escape(what)}"):
        images.load_image(tmp_path / "a.png")


def test_the_preview_of_a_raw_file_is_not_taken_for_the_picture(tmp_path, quarters):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[254] = 1  # a reduced version of another picture
    Image.fromarray(quarters).save(tmp_path / "a.dng", "TIFF", tiffinfo=tags)
    with pytest.raises(ValueError, match="a.dng is a camera's raw file"):
        images.load_image(tmp_path / "a.dng")


def test_heic_without_its_plugin_says_what_to_install(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    missing = lambda name, *more: name != "pillow_heif" and find(name, *more)  # noqa
    monkeypatch.setattr("importlib.util.find_spec", missing)
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")
    with pytest.raises(ValueError, match=r"HEIC, .*pip install 'tf_style\[heif\]'"):
        images.load_image(tmp_path / "a.jpg")


def test_values_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.float32([[0, np.nan]])).save(path)
    with pytest.raises(ValueError, match="a.tif cannot be decoded: .* not finite"):
        images.load_image(path)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.png does not exist$"):
        images.load_image(tmp_path / "nowhere.png")
    with pytest.raises(IsADirectoryError, match=f"^{tmp_path} is a folder"):
        images.load_image(tmp_path)


def test_a_file_that_cannot_be_looked_at_is_not_said_to_be_missing(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name, reason in (("loop.png", "symbolic links"), ("n" * 300, "name too long")):
        with pytest.raises(OSError, match=f"cannot read .*{name}: .*{reason}"):
            images.load_image(tmp_path / name)


def test_name_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 3)).save("~a.png")
    assert images.load_image("~a.png").shape == (1, 3, 4, 3)


def test_content_counts_and_not_the_ending(tmp_path, quarters):
    Image.fromarray(quarters).save(tmp_path / "a.jpg", "PNG")
    pixels = images.load_image(tmp_path / "a.jpg")
    np.testing.assert_allclose(pixels[0], quarters / 255, atol=1e-6)


@pytest.mark.parametrize("limit", [1199, 600, 599, 1])
def test_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch, limit):
    # Cut off after the header: whoever decoded it would complain of that.
    (tmp_path / "a.png").write_bytes(_encoded("PNG")[:100])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match="a.png has more than 0 million pixels"):
        images.load_image(tmp_path / "a.png")


def test_picture_at_the_limit_is_no_bomb(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(_encoded("PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 30)
    assert images.load_image(tmp_path / "a.png").shape == (1, 40, 30, 3)


@pytest.mark.parametrize(
    "size, max_side, expected",
    [
        ((100, 50), 20, (20, 10)),
        ((50, 100), 20, (10, 20)),
        ((7, 3), 5, (5, 2)),
        ((300, 1), 10, (10, 1)),
        ((20, 10), 20, (20, 10)),
        ((10, 5), 20, (10, 5)),
        ((100, 50), 0, (100, 50)),
    ],
)
def test_max_side_shrinks_in_proportion_and_never_enlarges(
    tmp_path, size, max_side, expected
):
    Image.new("RGBA", size, (1, 2, 3, 4)).save(tmp_path / "a.png")
    picture = images.load_picture(tmp_path / "a.png", max_side)
    assert picture.pixels.shape == (1, expected[1], expected[0], 3)
    assert picture.alpha.shape == (1, expected[1], expected[0], 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_fine_checkerboard_shrinks_to_mid_grey(tmp_path, dtype):
    board = (np.indices((64, 64)).sum(0) % 2).astype(dtype) * np.iinfo(dtype).max
    Image.fromarray(board).save(tmp_path / "a.png")
    pixels = images.load_image(tmp_path / "a.png", 16)
    np.testing.assert_allclose(pixels, np.full((1, 16, 16, 3), 0.5), atol=0.02)


def test_colours_under_transparency_do_not_bleed_when_shrinking(tmp_path):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :3], pixels[:, 3:] = (255, 0, 0, 255), (0, 255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    red, green, blue = np.moveaxis(images.load_image(tmp_path / "a.png", 4)[0], -1, 0)
    np.testing.assert_allclose(red, 1, atol=0.01)
    np.testing.assert_allclose(green, blue, atol=0.01)


class _SilentHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder, and the address under which a server of ours shows it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_SilentHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield folder, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_picture_of_a_url_is_fetched_once(served, quarters):
    folder, url = served
    Image.fromarray(quarters).save(folder / "a.png")
    first = images.load_image(f"{url}/a.png")
    np.testing.assert_allclose(first[0], quarters / 255, atol=1e-6)
    (folder / "a.png").unlink()
    np.testing.assert_array_equal(images.load_image(f"{url}/a.png"), first)
    with pytest.raises(OSError, match=f"cannot download {url}/b.png: .* 404"):
        images.load_image(f"{url}/b.png")


def test_saving_rounds_and_clips(tmp_path):
    levels = np.float32([-0.2, 0.49 / 255, 0.51 / 255, 99.6 / 255, 254.51 / 255, 1.3])
    images.save_image(tmp_path / "a.png", levels.reshape(1, 1, 2, 3))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[[0, 0, 1], [100, 255, 255]]]


@pytest.mark.parametrize("ending", [*images.WRITABLE, ".PNG"])
def test_saved_picture_reads_back(tmp_path, quarters, ending):
    path = tmp_path / "new" / f"a{ending}"
    images.save_image(path, quarters[None] / 255)
    # Away from the borders, at which WebP blurs the colours.
    pixels, expected = images.load_image(path)[0, 4::8, 4::8], quarters[4::8, 4::8]
    np.testing.assert_allclose(pixels, expected / 255, atol=LOSSY.get(ending, 1e-6))
    with Image.open(path) as image:
        assert image.format == images.writing_format(path)[0]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("ending", images.WRITABLE)
def test_transparency_is_kept_or_shown_on_white(tmp_path, ending):
    red, faint = np.zeros((1, 16, 16, 3)), np.full((1, 16, 16, 1), 0.2)
    red[..., 0] = 1
    images.save_image(tmp_path / f"a{ending}", red, faint)
    picture = images.load_picture(tmp_path / f"a{ending}")
    expected = np.broadcast_to([1, 0.8, 0.8], (1, 16, 16, 3))
    np.testing.assert_allclose(picture.pixels, expected, atol=0.02)
    if ending in (".png", ".webp", ".tif", ".tiff"):
        np.testing.assert_allclose(picture.alpha, faint, atol=1e-6)
    else:
        assert picture.alpha is None


def test_jpeg_keeps_full_colour_and_little_loss(tmp_path, quarters):
    images.save_image(tmp_path / "a.jpg", quarters[None] / 255)
    with Image.open(tmp_path / "a.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
        # The standard's 16 and 99 at quality 95: (16 * 10 + 50) // 100, and so on.
        assert (image.quantization[0][0], image.quantization[0][63]) == (2, 10)


@pytest.mark.parametrize("name", ["a.gif", "a.txt", "a"])
def test_unknown_ending_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(ValueError, match=f"cannot write .*{name}: .*one of .jpg, "):
        images.save_image(tmp_path / name, np.zeros((1, 2, 2, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_picture_that_is_not_finite_is_not_written(tmp_path, value):
    with pytest.raises(ValueError, match="a.png is ndarray .* that is not finite; "):
        images.save_image(tmp_path / "a.png", np.full((1, 2, 2, 3), value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name, most", [("a.jpg", 65500), ("a.webp", 16383)])
def test_format_says_how_long_a_side_it_holds(tmp_path, name, most):
    images.save_image(tmp_path / name, np.zeros((1, 1, most, 3)))
    with Image.open(tmp_path / name) as image:
        assert image.size == (most, 1)
    with pytest.raises(ValueError, match=f"at most {most} pixels .* have 1x{most + 1}"):
        images.save_image(tmp_path / name, np.zeros((1, most + 1, 1, 3)))


def test_folder_that_cannot_be_made_is_an_os_error(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(OSError, match="file"):
        images.save_image(tmp_path / "file" / "a.png", np.zeros((1, 2, 2, 3)))
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_failed_save_keeps_the_old_picture(tmp_path, monkeypatch):
    def fill_the_disk(image, path, **_):
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        images.save_image(path, np.zeros((1, 2, 2, 3)))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_resize_to_the_same_size_is_the_same_picture(content):
    assert images.resize(content, 37, 50) is content


@pytest.mark.parametrize("size", [(9, 20), (37, 80), (100, 150)])
def test_resize_keeps_constants_range_and_axes(content, size):
    flat = images.resize(np.full_like(content, 0.3), *size)
    np.testing.assert_allclose(flat, np.full((1, *size, 3), 0.3), atol=1e-6)
    hard = images.resize(np.round(content), *size)
    assert 0 <= hard.min() and hard.max() <= 1
    turned = images.resize(hard.transpose(0, 2, 1, 3), 50, 37)
    again = images.resize(hard, 37, 50).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(turned, again, atol=1e-5)


@pytest.mark.parametrize("side, size", [(25, (18, 25)), (50, (37, 50)), (99, (73, 99))])
def test_fit_longest_shrinks_and_enlarges_in_proportion(content, side, size):
    assert images.fit_longest(content, side).shape == (1, *size, 3)


def test_a_picture_as_it_should_be_is_passed_through(content):
    assert images.as_picture(content) is content


AS_CALLERS_HAVE_THEM = {
    "HWC": (lambda x: x[0], 0),
    "float16": (lambda x: x.astype(np.float16), 5e-4),
    "float64": (lambda x: x.astype(np.float64), 0),
    "big-endian": (lambda x: x.astype(">f4"), 0),
    "uint8": (images.to_uint8, 0.5 / 255),
    "uint8 HWC": (lambda x: images.to_uint8(x[0]), 0.5 / 255),
    "uint16": (lambda x: np.rint(x * 65535).astype(np.uint16), 0.5 / 65535),
    "off by rounding": (lambda x: x * 1.001 - 0.0005, 1e-3),
    "tensor": (tf.constant, 0),
    "bfloat16": (lambda x: tf.cast(x, tf.bfloat16), 2e-3),
    "variable": (tf.Variable, 0),
    "PIL": (lambda x: Image.fromarray(images.to_uint8(x[0])), 0.5 / 255),
}


@pytest.mark.parametrize("kind", AS_CALLERS_HAVE_THEM)
def test_pictures_are_taken_as_callers_have_them(content, kind):
    make, accuracy = AS_CALLERS_HAVE_THEM[kind]
    found = images.as_picture(make(content))
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    assert found.dtype.isnative and 0 <= found.min() <= found.max() <= 1
    np.testing.assert_allclose(found, content, atol=accuracy + 1e-6)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "F"]
)
def test_pil_images_of_all_modes_are_as_from_a_file(tmp_path, quarters, mode):
    image = Image.fromarray(quarters)
    image = image.convert("L") if mode == "I;16" else image
    image = image.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.new("L", image.size, 128))
    found = images.as_picture(image)
    assert (found.shape, found.dtype) == ((1, 16, 24, 3), np.float32)
    if mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image.save(tmp_path / "a.png")
        np.testing.assert_array_equal(found, images.load_image(tmp_path / "a.png"))


def test_a_pil_image_is_turned_upright_as_its_file_is(tmp_path, quarters):
    turned, exif = Image.fromarray(quarters), Image.Exif()
    exif[0x112] = 6
    turned.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        found = images.as_picture(image)
    assert found.shape == (1, 24, 16, 3)
    np.testing.assert_array_equal(found, images.load_image(tmp_path / "a.png"))


def flat(*shape, dtype=np.float32, value=0.5):
    return np.full(shape, value, dtype)


BATCH = "call it once for each, or hub.stylize_batch"
LAST = "move its channels to the end"
GREY = "repeat its one channel three times"
NO_PICTURES = [
    (None, "None", ""),
    ("a.jpg", "'a.jpg'", "read files with images.load_image"),
    (Path("a.jpg"), "'a.jpg'", "read files with images.load_image"),
    ([flat(1, 4, 5, 3)] * 2, "a list of 2", BATCH),
    ({}, "dict", ""),
    (7, "int", ""),
    (flat(4, 5), "ndarray float32 [4, 5] from 0.5 to 0.5", GREY),
    (flat(4, 5, 1), "ndarray float32 [4, 5, 1] from 0.5 to 0.5", GREY),
    (flat(4, 5, 2), "ndarray float32 [4, 5, 2] from 0.5 to 0.5", ""),
    (
        flat(1, 4, 5, 4),
        "ndarray float32 [1, 4, 5, 4] from 0.5 to 0.5",
        "leave out its last channel",
    ),
    (flat(3, 4, 5), "ndarray float32 [3, 4, 5] from 0.5 to 0.5", LAST),
    (flat(2, 4, 5, 3), "ndarray float32 [2, 4, 5, 3] from 0.5 to 0.5", BATCH),
    (flat(1, 0, 5, 3), "ndarray float32 [1, 0, 5, 3]", ""),
    (flat(1, 1, 4, 5, 3), "ndarray float32 [1, 1, 4, 5, 3] from 0.5 to 0.5", ""),
    (
        flat(4, 5, 3, value=np.nan),
        "ndarray float32 [4, 5, 3] that is not finite",
        "",
    ),
    (
        flat(4, 5, 3, value=-np.inf),
        "ndarray float32 [4, 5, 3] that is not finite",
        "",
    ),
    (flat(4, 5, 3, dtype=bool, value=1), "ndarray bool [4, 5, 3]", ""),
    (
        flat(4, 5, 3, dtype=int, value=200),
        "ndarray int64 [4, 5, 3] from 200 to 200",
        "in [0, 255]? make it uint8",
    ),
    (
        flat(4, 5, 3, value=255),
        "ndarray float32 [4, 5, 3] from 255 to 255",
        "in [0, 255]? divide by 255",
    ),
    (
        flat(4, 5, 3, value=-1),
        "ndarray float32 [4, 5, 3] from -1 to -1",
        "in [-1, 1]? add 1 and divide by 2",
    ),
    (
        flat(4, 5, 3, value=1.002),
        "ndarray float32 [4, 5, 3] from 1.002 to 1.002",
        "bring it to [0, 1], as floats",
    ),
    (flat(4, 5, 3, dtype=complex), "ndarray complex128 [4, 5, 3]", ""),
    (np.array([None] * 3), "ndarray object [3]", ""),
    (images.Picture(flat(1, 4, 5, 3), None, ""), "Picture", "pass its pixels"),
]


@pytest.mark.parametrize(
    "value, came, advice", NO_PICTURES, ids=[came for _, came, _ in NO_PICTURES]
)
def test_what_is_no_picture_is_told_by_what_it_is_and_should_be(value, came, advice):
    with pytest.raises(ValueError) as caught:
        images.as_picture(value, "content")
    wanted = (
        "one RGB picture, [H, W, 3] or [1, H, W, 3], of floats in [0, 1], uint8 or "
        "uint16, or a PIL image"
    )
    end = f"; {advice}" if advice else ""
    assert str(caught.value) == f"content is {came}; it must be {wanted}{end}"


def test_an_empty_pil_image_is_no_picture():
    with pytest.raises(ValueError, match="^content is an image of 0x4 pixels$"):
        images.as_picture(Image.new("RGB", (0, 4)), "content")


def test_a_tensor_without_values_is_no_picture():
    said = []

    @tf.function(autograph=False)
    def graph(picture):
        with pytest.raises(ValueError) as caught:
            images.as_picture(picture, "content")
        said.append(str(caught.value))

    graph(tf.zeros((1, 4, 5, 3)))
    assert said[0].endswith("it has no values here; call this outside of tf.function")


def test_of_several_pictures_the_wrong_one_is_named(content):
    assert images.as_pictures(content, "style")[0] is content
    assert len(images.as_pictures((content, content[0]), "style")) == 2
    with pytest.raises(ValueError, match=r"^style\[1\] is None; it must be one RGB"):
        images.as_pictures([content, None], "style")
    with pytest.raises(ValueError, match="^style is empty; give at least one picture"):
        images.as_pictures([], "style")
    with pytest.raises(ValueError, match="^style is .*; give them as a list$"):
        images.as_pictures(np.concatenate([content] * 2), "style")


@pytest.mark.parametrize("kind", ["uint8", "PIL", "tensor", "HWC"])
def test_pictures_are_saved_as_callers_have_them(tmp_path, content, kind):
    images.save_image(tmp_path / "a.png", content)
    images.save_image(tmp_path / "b.png", AS_CALLERS_HAVE_THEM[kind][0](content))
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_a_transparent_pil_image_stays_so(tmp_path):
    image = Image.new("RGBA", (5, 4), (250, 0, 0, 51))
    images.save_image(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as saved:
        assert (saved.mode, saved.getpixel((0, 0))) == ("RGBA", (250, 0, 0, 51))


def test_the_home_folder_is_a_folder_to_save_to(tmp_path, content, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    images.save_image("~/new/a.png", content)
    assert (tmp_path / "home" / "new" / "a.png").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_the_ending_is_refused_before_the_picture(tmp_path):
    with pytest.raises(ValueError, match="its ending must be one of"):
        images.save_image(tmp_path / "a.xyz", None)


def test_alpha_of_another_size_is_refused(tmp_path, content):
    with pytest.raises(ValueError) as caught:
        images.save_image(tmp_path / "a.png", content, np.ones((1, 50, 37, 1)))
    assert str(caught.value) == "alpha is of 37x50 pixels, and pixels of 50x37"
    with pytest.raises(ValueError, match=r"^alpha is ndarray .* must be \[H, W\], "):
        images.save_image(tmp_path / "a.png", content, content)
    assert list(tmp_path.iterdir()) == []
