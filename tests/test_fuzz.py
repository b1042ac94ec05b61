"""Files with anything in them: what cannot be read is one line, and never more.

A mutated file of ours either reads as something valid or raises ValueError or OSError.
`TF_STYLE_FUZZ=600 pytest tests/test_fuzz.py -n 0` looks for so many seconds.
"""

import io
import json
import os
import random
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from tf_style import images
from tf_style.config import Job
from tf_style.fast import hub
from tf_style.images import masks
from tf_style.jobs import checkpoint, manifest
from tf_style.optimization import gatys

SECONDS = float(os.environ.get("TF_STYLE_FUZZ", 10)) / 5
# Of pictures, a header may ask for as many pixels as Pillow's bound allows.
MAX_PIXELS = 1 << 20
MAX_BYTES = 64 << 20
INTERESTING = [b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"1e999", b"NaN"]
INTERESTING += [b"[" * 5000, b"null", b"-1", b"\xff\xfe", b"9" * 400, b'"', b"{}"]


@pytest.fixture(autouse=True)
def _few_pixels(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", MAX_PIXELS)


@pytest.fixture(scope="module")
def pictures():
    """Small pictures of every format and of many kinds, as bytes."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (9, 11, 3), np.uint8))
    found = []
    for mode in ("RGB", "RGBA", "L", "P", "1", "CMYK", "LA", "I;16", "F"):
        for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"):
            stream = io.BytesIO()
            try:
                image = colours.convert("L") if mode == "I;16" else colours
                exif = Image.Exif()
                exif[0x0112] = 6
                image.convert(mode).save(stream, kind, exif=exif.tobytes())
            except (OSError, ValueError, KeyError):  # No such picture in this format.
                continue
            found.append(stream.getvalue())
    frames = [colours.rotate(angle) for angle in (0, 90, 180)]
    for kind in ("GIF", "WEBP", "PNG"):
        stream = io.BytesIO()
        frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
        found.append(stream.getvalue())
    return found


def mutate(data, rng):
    """Changes, cuts, repeats or inserts some bytes."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if data:
                data[place % len(data)] = rng.randrange(256)
            case 1:
                data[place:place] = rng.choice(INTERESTING)
            case 2:
                del data[place : place + rng.choice((1, 8, 64))]
            case 3:
                data[place:place] = data[place : place + rng.choice((4, 32))]
            case 4:
                chunk = rng.choice(INTERESTING)
                data[place : place + len(chunk)] = chunk
    return bytes(data)


def fuzz(seeds, read):
    """Reads mutated files for a while; returns what was refused, as a set of lines."""
    rng, refused, count = random.Random(0), set(), 0
    end = time.monotonic() + SECONDS
    tracemalloc.start()
    try:
        while count < 40 or time.monotonic() < end:
            data = mutate(rng.choice(seeds), rng)
            count += 1
            try:
                read(data)
            except (ValueError, OSError) as error:
                line = str(error)
                assert line and "\n" not in line, line
                refused.add(line)
            peak = tracemalloc.get_traced_memory()[1]
            assert peak < MAX_BYTES, f"{peak >> 20} MiB for {data[:80]}"
            tracemalloc.reset_peak()
    finally:
        tracemalloc.stop()
    assert refused
    return refused


def test_pictures(pictures, tmp_path):
    path = tmp_path / "photo.png"

    def read(data):
        path.write_bytes(data)
        picture = images.load_picture(path, 64)
        assert picture.pixels.dtype == np.float32
        assert 0 <= picture.pixels.min() <= picture.pixels.max() <= 1

    assert all(str(path) in line for line in fuzz(pictures, read))


def test_masks(pictures, tmp_path):
    path = tmp_path / "mask.png"
    content = np.zeros((1, 9, 11, 3), np.float32)

    def read(data):
        path.write_bytes(data)
        for mask in masks.fit([images.load_image(path, 64)], content, 1):
            assert np.isfinite(mask).all() and mask.shape == (1, 9, 11, 1)

    fuzz(pictures, read)


def test_style_codes(tmp_path):
    path = tmp_path / "style.npz"
    parts = [np.ones(7, np.float32), np.zeros(7, np.float32)]
    code = hub.StyleCode("ab", parts, [0.25, 0.75])
    hub.save_code(path, code)

    def read(data):
        path.write_bytes(data)
        found = hub.load_code(path)
        assert len(found.parts) == len(found.weights)

    assert all(str(path) in line for line in fuzz(inside_out(path), read))


def test_checkpoints(tmp_path):
    path = tmp_path / "picture.png.checkpoint.npz"
    picture = np.full((1, 4, 5, 3), 0.5, np.float32)
    state = gatys.State(3, picture, 0.1, picture, {"total": 1.0})
    checkpoint.write(path, state, {"settings": {"steps": 4}})

    def read(data):
        path.write_bytes(data)
        found = checkpoint.read(path, {"settings": {"steps": 4}})
        assert found.image.shape == found.best.shape == picture.shape
        assert np.isfinite(found.image).all() and found.index >= 0

    assert all(str(path) in line for line in fuzz(inside_out(path), read))


def test_manifests(tmp_path, slow_job, monkeypatch):
    from tf_style.jobs import run

    job = slow_job.__class__(
        **{**vars(slow_job), "output": str(tmp_path / "out.png"), "max_side": 16}
    )
    list(run.run(job))
    path = manifest.path_of(tmp_path / "out.png")
    seed = path.read_bytes()

    def read(data):
        path.write_bytes(data)
        assert isinstance(manifest.read(path), Job)

    # Parts of it that are other JSON, too.
    rng, seeds = random.Random(1), [seed]
    for _ in range(40):
        account = json.loads(seed)
        entry = account
        while isinstance(entry[key := rng.choice(list(entry))], dict) and entry[key]:
            entry = entry[key]
        entry[key] = rng.choice([None, -1, 1e308, [], {}, "x", True, [[1]], "\0"])
        seeds.append(json.dumps(account).encode())
    assert all(str(path) in line for line in fuzz(seeds, read))


def inside_out(path):
    """Returns a ZIP's bytes as they are, and packed again with parts of it changed."""
    rng, seeds = random.Random(2), [path.read_bytes()]
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(40):
        stream, changed = io.BytesIO(), rng.choice(list(parts))
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in parts.items():
                if name == changed and rng.random() < 0.2:
                    continue
                archive.writestr(name, mutate(data, rng) if name == changed else data)
        seeds.append(stream.getvalue())
    return seeds
