"""What a picture or film tells of itself, and what its result keeps of that."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from tf_style import images
from tf_style.config import HubConfig, Job
from tf_style.jobs import manifest, run

DATE, AUTHOR, TITLE = "2019:05:17 18:03:59", "Zoë", "Été à Tübingen"
PLACE = {
    int(GPS.GPSLatitudeRef): "N",
    int(GPS.GPSLatitude): (48.0, 31.0, 12.0),
    int(GPS.GPSLongitudeRef): "E",
    int(GPS.GPSLongitude): (9.0, 3.0, 27.0),
}


def exif_of(**changes):
    """The EXIF of a photo, as a camera and an editor write it."""
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif[Base.Make] = "Camera"
    exif[Base.Artist] = AUTHOR.encode()
    exif[Base.ImageDescription] = TITLE.encode()
    exif[Base.XResolution] = exif[Base.YResolution] = changes.get("resolution", 300.0)
    exif[Base.ResolutionUnit] = changes.get("unit", 2)
    exif[IFD.Exif] = {
        int(Base.DateTimeOriginal): DATE,
        int(Base.OffsetTimeOriginal): "+02:00",
        int(Base.MakerNote): b"x" * 1000,
    }
    exif[IFD.GPSInfo] = changes.get("place", PLACE)
    return exif


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif_of().tobytes())
    return path


def text(value):
    return value.encode("latin-1").decode()


@pytest.mark.parametrize("ending", images.WRITABLE)
def test_date_author_title_and_resolution_are_kept_and_the_place_if_asked(
    photo, tmp_path, ending
):
    picture = images.load_picture(photo)
    for location in (False, True):
        path = tmp_path / f"out{ending}"
        images.write_image(
            path, picture.pixels, exif=picture.exif, location=location, name=path
        )
        with Image.open(path) as image:
            image.load()
            exif = image.getexif()
            if ending != ".webp":
                assert image.info["dpi"] == pytest.approx((300, 300), abs=0.02)
        if ending == ".bmp":
            continue
        assert text(exif[Base.Artist]) == AUTHOR
        assert text(exif[Base.ImageDescription]) == TITLE
        assert exif[Base.XResolution] == exif[Base.YResolution] == 300
        shot = exif.get_ifd(IFD.Exif)
        assert shot[Base.DateTimeOriginal] == DATE
        assert shot[Base.OffsetTimeOriginal] == "+02:00"
        assert exif.get_ifd(IFD.GPSInfo) == (PLACE if location else {})
        # Nothing of the camera, and the picture is upright already.
        assert not {Base.Make, Base.Orientation} & set(exif)
        assert Base.MakerNote not in shot
        # Once more, as when a result is painted again.
        assert images.load_picture(path).exif
        assert images.load_image(path).shape == picture.pixels.shape


def test_pixels_a_centimetre_are_converted_and_what_a_format_says_counts(tmp_path):
    path = tmp_path / "a.webp"
    exif = exif_of(resolution=100.0, unit=3).tobytes()
    Image.new("RGB", (4, 3)).save(path, exif=exif)
    images.write_image(
        tmp_path / "a.png",
        Image.new("RGB", (4, 3)),
        exif=images.load_picture(path).exif,
    )
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"] == pytest.approx((254, 254), abs=0.02)
    Image.new("RGB", (4, 3)).save(tmp_path / "b.png", dpi=(72, 72))
    exif = images.load_picture(tmp_path / "b.png").exif
    images.write_image(tmp_path / "b.jpg", Image.new("RGB", (4, 3)), exif=exif)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["dpi"] == (72, 72)


@pytest.mark.parametrize("resolution", [0.0, 1e-9, 1e9, float("nan")])
def test_a_resolution_that_says_nothing_is_left_out(tmp_path, resolution):
    data = io.BytesIO()
    exif = exif_of()
    exif[Base.XResolution] = exif[Base.YResolution] = 0.0
    if np.isfinite(resolution):
        exif[Base.XResolution] = resolution
    Image.new("RGB", (4, 3)).save(data, "WEBP", exif=exif.tobytes())
    (tmp_path / "a.webp").write_bytes(data.getvalue())
    picture = images.load_picture(tmp_path / "a.webp")
    images.write_image(tmp_path / "a.jpg", picture.pixels, exif=picture.exif)
    with Image.open(tmp_path / "a.jpg") as image:
        assert Base.XResolution not in image.getexif()
        assert image.getexif().get_ifd(IFD.Exif)[Base.DateTimeOriginal] == DATE


@pytest.mark.parametrize(
    "place",
    [
        {int(GPS.GPSLatitude): (IFDRational(0, 0),) * 3},
        {int(GPS.GPSProcessingMethod): b"x" * 60000},
    ],
    ids=["0/0", "long"],
)
def test_a_broken_part_does_not_cost_the_others(tmp_path, place):
    exif = exif_of(place=place)
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png", exif=exif.tobytes())
    picture = images.load_picture(tmp_path / "a.png")
    path = tmp_path / "out.jpg"
    images.write_image(path, picture.pixels, exif=picture.exif, location=True)
    with Image.open(path) as image:
        assert image.getexif().get_ifd(IFD.GPSInfo) == {}
        assert text(image.getexif()[Base.Artist]) == AUTHOR


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "painting.png"
    pixels = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("place", [False, True])
def test_a_result_in_a_folder_keeps_what_its_photo_says(
    photo, painting, tmp_path, place, builtin_at_hand
):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (photos / name).write_bytes(photo.read_bytes())
    job = Job(
        contents=(str(photos),),
        styles=(str(painting),),
        output=str(tmp_path / "out"),
        keep_location=place,
        hub=HubConfig(model="builtin", style_size=48),
    )
    events = list(run.run(job))
    written = [e.path for e in events if isinstance(e, run.Written) and e.seconds]
    assert len(written) == 2
    for path in written:
        with Image.open(path) as image:
            exif = image.getexif()
            assert exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] == DATE
            assert bool(exif.get_ifd(IFD.GPSInfo)) == place
        again = manifest.read(manifest.path_of(path), str(tmp_path / "again.png"))
        assert again.keep_location == place
    # The place is a matter of the result: with another wish it is painted again.
    skipped = [e for e in run.run(job) if isinstance(e, run.Skipped)]
    assert len(skipped) == 2


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_film_keeps_its_title_date_and_language_and_the_place_if_asked(
    tmp_path, ending
):
    av = pytest.importorskip("av")
    films = pytest.importorskip("films")
    from tf_style.video import writer

    source, frames = tmp_path / f"a{ending}", films.pan(3, 48, 64)
    films.write(
        tmp_path / "plain.mp4",
        frames,
        sound=("aac", 48000, 0.2),
        codec="libx264",
        pix_fmt="yuv420p",
    )
    said = {
        "title": "Été",
        "artist": "Zoë",  # in Matroska, ARTIST
        "creation_time": "2019-05-17T18:03:59.000000Z",
        "location": "+48.5200+009.0575/",
    }
    with av.open(str(tmp_path / "plain.mp4")) as plain:
        with av.open(
            str(source), "w", options={"movflags": "use_metadata_tags"}
        ) as mp4:
            mp4.metadata.update(said)
            copies = {s: mp4.add_stream_from_template(s) for s in plain.streams}
            copies[plain.streams.audio[0]].metadata["language"] = "fra"
            for packet in plain.demux():
                if packet.dts is not None:
                    packet.stream = copies[packet.stream]
                    mp4.mux(packet)
    for location in (False, True):
        out = tmp_path / f"out_{location}.mp4"
        assert (
            writer.join([(tmp_path / "plain.mp4", 0)], source, out, 0.12, location)
            == ""
        )
        with av.open(str(out)) as film:
            assert film.metadata["title"] == "Été"
            assert film.metadata["artist"] == "Zoë"
            assert film.metadata["creation_time"] == said["creation_time"]
            assert film.streams.audio[0].metadata["language"] == "fra"
            assert (said["location"] in film.metadata.values()) == location


def test_what_is_not_exif_is_refused_and_nothing_is_written(tmp_path):
    pixels = np.zeros((1, 4, 4, 3), np.float32)
    with pytest.raises(ValueError, match="exif is not EXIF data"):
        images.write_image(tmp_path / "a.png", pixels, exif=b"junk")
    assert not [*tmp_path.iterdir()]
