"""Odd files and odd ways to name them, each with what should come of it.

`FILES` are kinds of files. Each is a photo of its own, one of a folder beside a sound
one, and a photo of the slow path. `HABITS` are whole command lines.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import films
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

SIZE = 48, 36
# Of kinds of numbers in TIFF and EXIF.
CODES = {1: "B", 3: "H", 4: "I"}


class File(NamedTuple):
    """A kind of file, and what is right for it."""

    name: str  # that it has in its folder
    write: Callable  # called with its path
    says: str = ""  # what the line tells that refuses it; empty: it is painted
    needs: tuple = ()  # packages
    film: bool = False  # it becomes one
    notes: str = ""  # what a line tells while it is painted


class Habit(NamedTuple):
    """A command line, and what is right for it."""

    name: str
    typed: Callable  # prepares its folder, works in it, returns the arguments
    pictures: int = 1  # that are written
    says: str = ""  # what each line tells that refuses something
    status: int = 0


def picture(mode="RGB", size=SIZE):
    """A picture without two equal rows, so that what is missing can be told."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (*size[::-1], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(kind, image=None, **options):
    stream = io.BytesIO()
    (image or picture()).save(stream, kind, **options)
    return stream.getvalue()


def save(kind, image=None, **options):
    """Returns what writes a picture in a format of Pillow."""

    def write(path):
        path.write_bytes(encoded(kind, image, **options))

    return write


def moving(kind, **options):
    frames = [picture().rotate(angle) for angle in (0, 90)]
    return save(kind, frames[0], save_all=True, append_images=frames[1:], **options)


def holds(data):
    """Returns what writes given bytes."""
    return lambda path: path.write_bytes(data)


def cut(kind, share, image=None, **options):
    data = encoded(kind, image, **options)
    return holds(data[: int(len(data) * share)])


def chunk(name, body, crc=None):
    """A chunk of a PNG."""
    crc = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def with_chunk(extra, image=None):
    """A PNG with a chunk behind its header."""
    data = encoded("PNG", image)
    return holds(data[:33] + extra + data[33:])


def with_exif(body):
    """A JPEG with bytes where EXIF stands."""
    data, segment = encoded("JPEG"), b"Exif\0\0" + body
    head = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment
    return holds(data[:2] + head + data[2:])


def exif_of(tag, kind, count, value):
    """The body of EXIF with one tag, big-endian."""
    entry = struct.pack(">HHI", tag, kind, count) + value
    return b"MM\0*\0\0\0\x08\0\x01" + entry + bytes(4)


def tiff(bits, layout, photometric, channels, sample=1, extra=(), flags=0, more=()):
    """An uncompressed TIFF of one strip."""
    width, height = SIZE
    tags = [(254, 4, [flags]), (256, 4, [width]), (257, 4, [height])]
    tags += [(258, 3, [bits] * channels), (259, 3, [1]), (262, 3, [photometric])]
    tags += [(273, 4, [0]), (277, 3, [channels]), (278, 4, [height])]
    tags += [(279, 4, [len(layout)]), (339, 3, [sample] * channels)]
    tags += [(338, 3, list(extra))] * bool(extra) + list(more)
    tags.sort()
    lengths = [struct.calcsize(CODES[kind]) * len(values) for _, kind, values in tags]
    place, entries, beside = 8 + 2 + 12 * len(tags) + 4, [], b""
    long = sum(n for n in lengths if n > 4)
    for tag, kind, values in tags:
        values = [place + long] if tag == 273 else values
        body = struct.pack("<" + CODES[kind] * len(values), *values)
        if len(body) > 4:
            entries.append(
                struct.pack("<HHII", tag, kind, len(values), place + len(beside))
            )
            beside += body
        else:
            entries.append(
                struct.pack("<HHI", tag, kind, len(values)) + body.ljust(4, b"\0")
            )
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    return head + b"".join(entries) + bytes(4) + beside + layout


def _raw():
    pixels = picture().tobytes()
    return tiff(8, pixels, 2, 3, flags=1, more=[(50706, 1, [1, 4, 0, 0])])


def heif(path):
    import pillow_heif

    pillow_heif.from_pillow(picture(size=(64, 48))).save(path)


def film(path):
    films.write(path, films.pan(3, 36, 48), codec="libx264", pix_fmt="yuv420p")


def film_of(codec):
    """Returns what writes a film in a codec, in the container of the path's ending."""

    def write(path):
        films.write(path, films.pan(3, 36, 48), codec=codec, pix_fmt="yuv420p")

    return write


def only_sound(path):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for packet in films.encode_tone(stream, 44100, 0.1):
            container.mux(packet)


def clear_everywhere():
    image = picture("RGBA")
    image.putalpha(0)
    return image


def large_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, 2 << 20, np.uint8).tobytes()
    return profile + noise


def text(**options):
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * (2 << 20), **options)
    return info


def _cut(write, path):
    write(path)
    path.write_bytes(path.read_bytes()[:-600])


def _renamed(write, path, ending):
    write(path.with_suffix(ending))
    path.with_suffix(ending).rename(path)


def write_link(path):
    path.symlink_to(path.with_name("nowhere.jpg"))


HEIF, AVIF, AV = ("pillow_heif",), ("PIL._avif",), ("av", "cv2")
NO_PICTURE = "is not a picture"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
FLOATS = np.asarray(picture(), np.float32) / 255
RATIONAL = exif_of(282, 5, 1, b"\0\0\0\x1a") + bytes(8)

FILES = [
    # Names.
    File("a.jfif", save("JPEG")),
    File("a.JPE", save("JPEG")),
    File("picture", save("JPEG")),
    File("a.pjpeg", save("JPEG")),
    File("called.jpg", save("PNG")),
    File("called.png", save("WEBP")),
    File("unknown.xyz", save("TIFF")),
    File("ü 日本 🙂.jpg", save("JPEG")),
    File("n" * 246 + ".jpg", save("JPEG")),
    File("new\nline.jpg", save("JPEG")),
    File("a, b.jpg", save("JPEG")),
    File("IMG [1].jpg", save("JPEG")),
    File("~tilde.jpg", save("JPEG")),
    File("100% #1?.jpg", save("JPEG")),
    File("link.jpg", write_link, "link|does not exist"),
    # Formats.
    File("a.heic", heif, needs=HEIF),
    File("heic.jpg", heif, needs=HEIF),
    File("a.avif", save("AVIF"), needs=AVIF),
    File("avif.jpg", save("AVIF"), needs=AVIF),
    File("a.dng", holds(_raw()), "raw"),
    File("a.nef", holds(_raw()), "raw"),
    File("raw.tif", holds(_raw()), "raw"),
    File("a.cr3", holds(b"\0\0\0\x18ftypcrx " + bytes(64)), "raw"),
    File("a.psd", holds(b"8BPS\0\1" + bytes(64)), "Photoshop"),
    File("svg.png", holds(SVG), "SVG"),
    File("mark.svg", holds(b"\xef\xbb\xbf" + SVG), "SVG"),
    File("a.zip", holds(b"PK\3\4" + bytes(64)), "archive"),
    File("b.svgz", holds(b"\x1f\x8b\x08" + bytes(64)), "archive"),
    File("a.mp3", holds(b"ID3\4" + bytes(64)), "is sound"),
    File("a.pdf", holds(b"%PDF-1.7\n" + bytes(64)), "PDF"),
    File("page.jpg", holds(b"<!DOCTYPE html><title>403</title>"), "web page"),
    File("a.jxl", holds(b"\xff\x0a" + bytes(64)), "JPEG XL"),
    File("lfs.jpg", holds(LFS), "Git LFS"),
    File("empty.jpg", holds(b""), r"empty \(0 bytes\)"),
    File("text.jpg", holds(b"just text"), NO_PICTURE),
    File("notes.txt", holds(b"just text"), NO_PICTURE),
    # Pixels.
    File("clear.png", save("PNG", clear_everywhere())),
    File("palette.gif", save("GIF", picture("P"), transparency=3)),
    File("bits.png", save("PNG", picture("1"))),
    File("cmyk.jpg", save("JPEG", picture("CMYK"))),
    File("lab.tif", save("TIFF", picture("LAB"))),
    File("deep.png", save("PNG", Image.fromarray(np.uint16(FLOATS[..., 0] * 65535)))),
    File("float.tif", save("TIFF", Image.fromarray(FLOATS[..., 0]))),
    File(
        "float_colour.tif",
        holds(tiff(32, FLOATS.tobytes(), 2, 3, sample=3)),
        "TIFF.* 8 bits a channel",
    ),
    File(
        "grey_alpha.tif",
        holds(tiff(16, bytes(SIZE[0] * SIZE[1] * 4), 1, 2, extra=[2])),
        "TIFF.* 8 bits a channel",
    ),
    File(
        "nan.tif", save("TIFF", Image.fromarray(FLOATS[..., 0] * np.nan)), "not finite"
    ),
    File("dot.png", save("PNG", picture(size=(1, 1)))),
    File("strip.png", save("PNG", picture(size=(300, 2)))),
    # What stands around the pixels.
    File("exif.jpg", with_exif(b"MM\0*" + b"\xff" * 40)),
    File("exif_text.jpg", with_exif(b"no EXIF at all")),
    File("turned.jpg", with_exif(exif_of(274, 2, 4, b"up!\0"))),
    File("turned9.jpg", with_exif(exif_of(274, 3, 1, b"\0\x09\0\0"))),
    File("rational.jpg", with_exif(RATIONAL)),
    File("checksum.png", with_chunk(chunk(b"tEXt", b"Title\0A", crc=1))),
    File("exif_chunk.png", with_chunk(chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"))),
    File("no_colours.png", with_chunk(chunk(b"cHRM", b"abc"))),
    File("no_gamma.png", with_chunk(chunk(b"gAMA", b""))),
    File("no_srgb.png", with_chunk(chunk(b"sRGB", b""))),
    File("no_profile.png", with_chunk(chunk(b"iCCP", b"x"))),
    File("no_alpha.png", with_chunk(chunk(b"tRNS", b""))),
    File("no_film.png", with_chunk(chunk(b"acTL", b""))),
    File("no_frames.png", with_chunk(chunk(b"acTL", bytes(8)))),
    File("text.png", save("PNG", pnginfo=text(zip=True))),
    File("long_text.png", save("PNG", pnginfo=text())),
    File("profile.png", save("PNG", icc_profile=large_profile())),
    File("profile.jpg", save("JPEG", icc_profile=b"no profile")),
    File("tail.jpg", holds(encoded("JPEG") + bytes(999))),
    File("end.jpg", holds(encoded("JPEG")[:-2]), notes="cut short"),
    File("end.png", holds(encoded("PNG")[:-12])),
    File("cut.jpg", cut("JPEG", 0.98), notes="cut short"),
    File("cut.png", cut("PNG", 0.97), notes="cut short"),
    File("cut.bmp", cut("BMP", 0.97), notes="cut short"),
    File("half.jpg", cut("JPEG", 0.5), "cannot be decoded"),
    File("half.png", cut("PNG", 0.5), "cannot be decoded"),
    File("pages.tif", moving("TIFF")),
    File("two.jpg", moving("MPO")),
    # Films.
    File("a.gif", moving("GIF", duration=40), film=True, needs=AV),
    File("a.webp", moving("WEBP", duration=40, quality=90), film=True, needs=AV),
    File("a.apng", moving("PNG", duration=40), film=True, needs=AV),
    File("apng.png", moving("PNG", duration=40), film=True, needs=AV),
    File("film.mp4", film, film=True, needs=AV),
    File("really?.mp4", film, film=True, needs=AV),
    File("a.mov", film, film=True, needs=AV),
    File("a.mkv", film, film=True, needs=AV),
    File("a.ts", film, film=True, needs=AV),
    File("a.flv", film_of("flv"), film=True, needs=AV),
    File("camera.MTS", film, film=True, needs=AV),
    File("a.wmv", film_of("wmv2"), film=True, needs=AV),
    File("a.webm", film_of("libvpx"), film=True, needs=AV),
    File("cut.mp4", lambda path: _cut(film, path), "is it cut short", needs=AV),
    File("empty.mp4", holds(b""), r"empty \(0 bytes\)", needs=AV),
    File("code.ts", holds(b"export const a = 1;"), "is not a film", needs=AV),
    File("sound.mp4", only_sound, "only sound", needs=AV),
    File("film.JPG", lambda path: _renamed(film, path, ".mp4"), "film", needs=AV),
]


def photos(*names, kind="JPEG"):
    """Writes sound photos."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        save(kind)(Path(name))


def _command(*typed, files=("a.jpg", "b.jpg"), before=()):
    """Returns what writes photos and gives the arguments."""

    def prepare():
        photos(*files)
        for step in before:
            step()
        return typed

    return prepare


def _as_address(name):
    """The arguments for a photo as a file manager pastes it."""
    photos(name)
    return Path(name).absolute().as_uri(), S


S = "s.png"  # the painting
ODD = "[2023] trip/a.jpg", "[2023] trip/b.jpg"
HABITS = [
    Habit("two arguments", _command("a.jpg", S)),
    Habit("a third is the output", _command("a.jpg", S, "out.webp")),
    Habit("folder with brackets", _command("[2023] trip", S, files=ODD), 2),
    Habit("glob below brackets", _command("[2023] trip/*.jpg", S, files=ODD), 2),
    Habit("brackets and a star", _command("a[1]*.jpg", S, files=("a[1].x.jpg",))),
    Habit(
        "comma in a name of two",
        _command("a, b.jpg,c.jpg", S, files=("a, b.jpg", "c.jpg")),
        2,
    ),
    Habit("spaces at commas", _command("a.jpg , b.jpg", S), 2),
    Habit("home", _command("~/a.jpg", S, "--output=~/out.png")),
    Habit("no such file", _command("no.jpg", S), 0, "no.jpg does not exist", 1),
    Habit("no such glob", _command("no*.jpg", S), 0, r"no file matches no\*.jpg", 1),
    Habit("one of two is not there", _command("a.jpg,no.jpg", S), 1, "no.jpg does", 2),
    Habit("a file address", lambda: _as_address("ü b.jpg")),
    Habit("only commas", _command(" , ", S), 0, "--content is missing", 1),
    Habit("percent", _command("a.jpg", S, "--strength=50%")),
    Habit("a mode in capitals", _command("a.jpg", S, "--mode=Hub")),
    Habit("a model in capitals", _command("a.jpg", S, "--model=BuiltIn")),
    Habit("dashes", _command("a.jpg", S, "--style-size=64", "--keep-location")),
    Habit("no-", _command("a.jpg", S, "--no-keep-location", "--no-quiet")),
    Habit("yes", _command("a.jpg", S, "--keep_location=yes", "-v")),
    Habit("maybe", _command("a.jpg", S, "--flow=maybe"), 0, "it must be true or", 1),
    Habit("jpeg", _command("a.jpg", S, "--format=JPEG")),
    Habit("a number as 1e2", _command("a.jpg", S, "--max_side=1e2")),
    Habit("no style", _command("a.jpg"), 0, "--style is missing", 1),
    Habit(
        "long output", _command("a.jpg", S, "x" * 300 + ".png"), 0, "too long for", 1
    ),
    Habit("odd output", _command("a.jpg", S, "out.xyz"), 0, "ending must be one of", 1),
    Habit(
        "output in a file", _command("a.jpg", S, "a.jpg/o.png"), 0, "cannot write", 1
    ),
    Habit("into new folders", _command("a.jpg", S, "new/ü/deep/out.png")),
    Habit("over the input", _command("a.jpg", S, "a.jpg"), 0, "would overwrite", 1),
    Habit(
        "a folder as file",
        _command("p", S, "o.png", files=("p/a.jpg", "p/b.jpg")),
        0,
        "give a folder",
        1,
    ),
    Habit(
        "empty folder",
        _command("e", S, before=[lambda: os.mkdir("e")]),
        0,
        "holds no picture",
        1,
    ),
    Habit("jpg into a folder", _command("a.jpg,b.jpg", S, "--format=jpg"), 2),
    Habit("webp of low quality", _command("a.jpg", S, "--format=webp", "--quality=40")),
    Habit(
        "quality of a PNG",
        _command("a.jpg", S, "o.png", "--quality=40"),
        says="quality",
        status=0,
    ),
    Habit("two formats", _command("a.jpg", S, "o.png", "--format=jpg"), 0, "format", 1),
]
