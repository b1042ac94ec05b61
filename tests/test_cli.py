"""The command line: flags to settings, exit statuses, and what is printed where."""

import dataclasses
import fcntl
import importlib.util
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import films
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from tf_style import images
from tf_style.cli import flags as cli_flags
from tf_style.cli import main
from tf_style.config import GatysConfig, HubConfig, Job, NeighborsConfig
from tf_style.jobs import manifest
from tf_style.jobs.modes import MODES
from tf_style.methods import METHODS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def parsed():
    """Parses flags for the length of a test."""
    with flagsaver.flagsaver():
        yield lambda *arguments: flags.FLAGS(["tf_style", *arguments])


@pytest.fixture
def tf_style(capfd, monkeypatch):
    """Runs the program in this process; gives its exit status and its output."""
    monkeypatch.setenv("TFHUB_DOWNLOAD_PROGRESS", "")
    signals = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments):
        capfd.readouterr()
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as end:
            main.run(main.parse(["tf_style", *map(str, arguments)]))
        out, err = capfd.readouterr()
        return SimpleNamespace(status=end.value.code, out=out, err=err)

    yield call
    for number, handler in signals.items():
        signal.signal(number, handler)


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.fixture
def photo(tmp_path, content):
    images.save_image(tmp_path / "photo.png", content)
    return tmp_path / "photo.png"


@pytest.fixture
def painting(tmp_path, style):
    images.save_image(tmp_path / "painting.png", style)
    return tmp_path / "painting.png"


@pytest.fixture
def pair(photo, painting, stub_model):
    """Flags of one photo, one painting and the stub model."""
    return f"--content={photo}", f"--style={painting}", f"--model={stub_model}"


@pytest.fixture
def slow(vgg19):
    """Flags of a short run on the slow path."""
    return (
        "--mode=gatys",
        f"--backbone={vgg19}",
        "--content_layers=conv1_2",
        "--style_layers=conv1_1,conv1_2",
        "--steps=2",
        "--scales=1",
    )


def test_without_flags_the_settings_are_the_dataclasses_defaults(parsed):
    parsed("--mode=compare", "--content=a.jpg", "--style=b.jpg")
    job = cli_flags.make_job()
    assert (job.gatys, job.hub) == (GatysConfig(), HubConfig())
    parsed("--mode=hub")
    assert cli_flags.make_job() == Job(contents=("a.jpg",), styles=("b.jpg",))


def test_in_compare_flags_whose_defaults_differ_between_methods_are_gatys(parsed):
    both = ("--mode=compare", "--content=a.jpg", "--style=b.jpg")
    parsed(*both, "--steps=9", "--content_weight=1e4", "--style_scale=2")
    job = cli_flags.make_job()
    assert job.gatys == GatysConfig(steps=9, content_weight=1e4, style_scale=2)
    assert job.neighbors == NeighborsConfig(style_scale=2)
    assert job.hub == HubConfig(style_scale=2)


def test_every_flag_reaches_its_setting(parsed):
    parsed(
        "--mode=compare",
        "--content=a.jpg",
        "--style=b.jpg",
        "--backbone=a.h5",
        "--pooling=average",
        "--content_layers=conv4_1,conv4_2",
        "--style_layers=conv1_1,conv2_1",
        "--style_layer_weights=1,0.5",
        "--content_weight=2",
        "--style_weight=3e-3",
        "--tv_weight=0.5",
        "--temporal_weight=7",
        "--init=noise",
        "--steps=7",
        "--scales=3",
        "--learning_rate=0.1",
        "--beta1=0.5",
        "--epsilon=0.1",
        "--style_size=300",
        "--style_blend",
        "--style_weights=3,1",
        "--style_scale=1.5",
        "--preserve_color=histogram",
        "--color_strength=0.75",
        "--mask=a.png,b.png",
        "--sweep=steps=5,9",
        "--sweep=seed=1,2",
        "--strength=0.5",
        "--precision=float16",
        "--optimizer=adam",
        "--max_side=99",
        "--output=folder",
        "--seed=4",
        "--tile=64",
        "--time_budget=2.5",
        "--deterministic",
        "--model=folder",
        "--checkpoint_every=5",
        "--resume",
        "--save_every=9",
        "--timelapse=film.gif",
        "--noflow",
        "--format=webp",
        "--quality=80",
    )
    job = cli_flags.make_job()
    assert (job.format, job.quality) == ("webp", 80)
    assert (job.checkpoint_every, job.resume) == (5.0, True)
    assert (job.save_every, job.timelapse) == (9, "film.gif")
    assert (job.style_blend, job.masks) == (True, ("a.png", "b.png"))
    assert job.sweep == ("steps=5,9", "seed=1,2")
    assert job.flow is False
    assert (job.contents, job.styles) == (("a.jpg",), ("b.jpg",))
    assert (job.output, job.max_side) == ("folder", 99)
    shared = {
        "style_size": 300,
        "style_weights": (3.0, 1.0),
        "style_scale": 1.5,
        "preserve_color": "histogram",
        "color_strength": 0.75,
    }
    assert job.gatys == GatysConfig(
        backbone="a.h5",
        pooling="average",
        content_layers=("conv4_1", "conv4_2"),
        style_layers=("conv1_1", "conv2_1"),
        style_layer_weights=(1.0, 0.5),
        content_weight=2.0,
        style_weight=3e-3,
        tv_weight=0.5,
        temporal_weight=7.0,
        init="noise",
        steps=7,
        scales=3,
        learning_rate=0.1,
        beta1=0.5,
        epsilon=0.1,
        seed=4,
        tile=64,
        time_budget=2.5,
        deterministic=True,
        precision="float16",
        optimizer="adam",
        **shared,
    )
    assert job.hub == HubConfig(model="folder", strength=0.5, **shared)
    # Nothing was left as it is without a flag.
    for config in (job.gatys, job.hub):
        for field in dataclasses.fields(config):
            assert getattr(config, field.name) != field.default, field.name


@pytest.mark.parametrize(
    "arguments, max_side",
    [
        ((), MODES["hub"].MAX_SIDE),
        (("--mode=gatys",), MODES["gatys"].MAX_SIDE),
        (("--mode=compare",), MODES["compare"].MAX_SIDE),
        (("--mode=gatys", "--max_side=0"), 0),
        (("--max_side=640",), 640),
    ],
)
def test_each_mode_has_its_own_size_unless_told(parsed, arguments, max_side):
    parsed("--content=a", "--style=b", *arguments)
    assert cli_flags.make_job().max_side == max_side


@pytest.mark.parametrize(
    "sources, expected",
    [
        ("a.jpg", ("a.jpg",)),
        ("a.jpg,b.jpg", ("a.jpg", "b.jpg")),
        (" a.jpg , b.jpg,", ("a.jpg", "b.jpg")),
        ("red, green.jpg", ("red, green.jpg",)),
        ("red, green.jpg,a.jpg", ("red, green.jpg", "a.jpg")),
        ("a.jpg, red, green.jpg", ("a.jpg", "red, green.jpg")),
        ("http://x.org/w_3,h_2/a.jpg", ("http://x.org/w_3,h_2/a.jpg",)),
        ("http://x.org/w_3,h_2/a.jpg,b", ("http://x.org/w_3,h_2/a.jpg", "b")),
        ("http://x.org/a,red, green.jpg", ("http://x.org/a", "red, green.jpg")),
        ("http://x.org/a.jpg,photos/*.png", ("http://x.org/a.jpg", "photos/*.png")),
    ],
)
def test_inputs_are_split_at_commas_that_are_not_part_of_a_name(
    tmp_path, monkeypatch, sources, expected
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "red, green.jpg").touch()
    assert cli_flags.split(sources) == expected


def test_the_fast_path_writes_its_picture(tf_style, pair, tmp_path):
    out = tmp_path / "out.png"
    end = tf_style(*pair, f"--output={out}")
    assert end.status == 0
    assert re.fullmatch(rf"wrote {out} \(\d+\.\d s\)\n", end.out)
    assert end.err == ""
    assert images.load_image(out).shape == (1, 37, 50, 3)
    assert json.loads(manifest.path_of(out).read_text())["tf_style"]


def test_format_and_quality_are_those_of_the_picture(tf_style, pair, tmp_path):
    sizes = []
    for quality in (95, 20):
        out = tmp_path / str(quality)
        given = f"--output={out}/", "--format=jpg", f"--quality={quality}"
        assert tf_style(*pair, *given).status == 0
        (written,) = out.glob("*.jpg")
        sizes.append(written.stat().st_size)
        again = tf_style(f"--from_manifest={written}.json", "--quiet")
        assert again.status == 0 and written.stat().st_size == sizes[-1]
    assert sizes[1] < sizes[0] / 2
    end = tf_style(*pair, f"--output={tmp_path / 'o.png'}", "--quality=20")
    assert (end.status, end.err) == (0, "tf_style: --quality does nothing in .png\n")


def test_the_slow_path_writes_its_picture(tf_style, pair, slow, tmp_path):
    out = tmp_path / "out.png"
    end = tf_style(*pair[:2], *slow, "--max_side=30", f"--output={out}")
    assert (end.status, end.err) == (0, "")
    assert images.load_image(out).shape == (1, 22, 30, 3)


@pytest.mark.parametrize("mode", ["hub", "gatys"])
def test_quiet_prints_nothing(tf_style, pair, slow, tmp_path, mode):
    flags_of_mode = slow if mode == "gatys" else ()
    out = f"--output={tmp_path / 'out.png'}"
    end = tf_style(*pair, *flags_of_mode, out, "--quiet")
    assert (end.status, end.out, end.err) == (0, "", "")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Empty caches, and homes of the official models at which nobody answers."""
    from tf_style.fast import hub, magenta
    from tf_style.networks import features

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setattr(features, "VGG19_URL", f"{dead}/vgg.h5")
    for module in (hub, magenta):
        monkeypatch.setattr(module, "MAGENTA_HANDLE", f"{dead}/magenta/1")
    for remembered in (features.choose, hub.choose_model):
        remembered.cache_clear()
    yield
    for remembered in (features.choose, hub.choose_model):
        remembered.cache_clear()


def test_both_paths_work_offline_and_say_with_what(
    tf_style, offline, photo, painting, tmp_path
):
    inputs = (f"--content={photo}", f"--style={painting}")
    few = ("--mode=compare", "--steps=2", "--scales=1")
    end = tf_style(*inputs, *few, f"--output={tmp_path / 'out.png'}")
    assert end.status == 0
    told = [line for line in end.err.splitlines() if "built-in" in line]
    assert len(told) == 2
    assert "Magenta's is not available" in told[0]
    assert "--model=magenta makes" in told[0]
    assert "VGG-19 is not available" in told[1] and "--backbone=vgg19 makes" in told[1]
    account = json.loads((tmp_path / "out.png.json").read_text())
    assert {m["name"] for m in account["models"].values()} == {"builtin"}
    again = tf_style(f"--from_manifest={tmp_path / 'out.png.json'}", "--quiet")
    assert (again.status, again.err) == (0, "")


@pytest.mark.parametrize("mode", ["hub", "gatys"])
def test_weights_that_are_not_one_for_each_style_are_one_line(
    tf_style, pair, slow, mode
):
    end = tf_style(*pair, *slow, f"--mode={mode}", "--style_weights=1,2")
    assert end.status == 1
    assert end.err == (
        "tf_style: style_weights has 2 numbers for 1 styles; give one for each style\n"
    )


@pytest.mark.parametrize("mode", ["hub", "gatys", "compare"])
def test_styles_are_blended_and_masked_in_every_mode(
    tf_style, pair, slow, photo, painting, mode, tmp_path
):
    for name, half in (("left", slice(0, 25)), ("right", slice(25, 50))):
        mask = np.zeros((1, 37, 50, 3))
        mask[:, :, half] = 1
        images.save_image(tmp_path / f"{name}.png", mask)
    out = tmp_path / "out.png"
    flags_of_styles = (
        f"--style={painting},{photo}",
        "--style_weights=3,1",
        f"--mask={tmp_path / 'left.png'},{tmp_path / 'right.png'}",
        "--preserve_color=covariance",
    )
    slow = () if mode == "hub" else slow
    model = () if mode == "gatys" else pair[2:]
    engines = (*pair[:2], *model, *slow, f"--mode={mode}")
    end = tf_style(*engines, *flags_of_styles, f"--output={out}")
    assert end.status == 0
    told = [line.split(": ")[1] for line in end.err.splitlines()]
    if mode == "compare":  # It tells what it measured, and a note on that.
        assert told[:-1] == [*METHODS]
    else:
        assert not told
    account = json.loads(manifest.path_of(out).read_text())
    named = {"content", "style", "style_2", "mask", "mask_2"}
    assert account["inputs"].keys() == named
    assert account["inputs"]["mask_2"]["source"] == str(tmp_path / "right.png")
    for engine in account["models"]:
        settings = account["settings"][engine]
        assert settings["style_weights"] == [3, 1]
        assert settings["preserve_color"] == "covariance"
    again = tf_style(f"--from_manifest={tmp_path / 'out.png.json'}", "--resume")
    assert (again.status, again.out) == (0, f"kept {out}\n")


def test_what_is_there_is_kept_and_said_so(tf_style, pair, tmp_path):
    out = tmp_path / "out.png"
    first, again, other = (
        tf_style(*pair, f"--output={out}", f"--strength={strength}")
        for strength in (1, 1, 0.5)
    )
    assert first.out.startswith(f"wrote {out} (")
    assert (again.status, again.out, again.err) == (0, f"kept {out}\n", "")
    assert other.out.startswith(f"wrote {out} (")


def test_a_sweep_writes_a_picture_for_each_value_and_a_sheet(tf_style, pair, tmp_path):
    out = tmp_path / "out"
    end = tf_style(*pair, f"--output={out}", "--sweep=strength=0,1")
    assert end.status == 0
    assert sorted(path.name for path in out.glob("*.png")) == [
        "contact_sheet.png",
        "photo_painting_strength=0.png",
        "photo_painting_strength=1.png",
    ]
    unpainted = images.load_image(out / "photo_painting_strength=0.png")
    photo = images.load_image(tmp_path / "photo.png")
    np.testing.assert_array_equal(unpainted, photo)


def test_quiet_prints_one_line_where_the_weights_cannot_be_had(
    tf_style, pair, tmp_path, monkeypatch
):
    from tf_style.networks import features

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setattr(features, "VGG19_URL", f"http://127.0.0.1:{port}/vgg.h5")
    out = tmp_path / "out.png"
    asked_for = ("--mode=gatys", "--backbone=vgg19")
    end = tf_style(*pair, *asked_for, f"--output={out}", "--quiet")
    assert end.status == 1
    assert re.fullmatch(
        r"tf_style: cannot download VGG-19 .*--backbone=builtin\n", end.err
    )
    assert end.out == ""
    assert not out.exists()


def test_failed_pictures_give_status_2_and_the_others_are_written(
    tf_style, pair, photo, tmp_path
):
    (tmp_path / "corrupt.png").write_bytes(photo.read_bytes()[:300])
    (tmp_path / "empty.png").touch()
    names = ["corrupt.png", "photo.png", "empty.png"]
    content = ",".join(str(tmp_path / name) for name in names)
    out = tmp_path / "out"
    end = tf_style(*pair[1:], f"--content={content}", f"--output={out}")
    assert end.status == 2
    first, second, last = end.err.splitlines()
    assert first.startswith(f"tf_style: {tmp_path / 'corrupt.png'} cannot be decoded")
    assert second == f"tf_style: {tmp_path / 'empty.png'} is empty (0 bytes)"
    assert last == "tf_style: 1 written, 2 failed"
    assert (out / "photo_painting.png").is_file()
    # What was there before counts as well.
    again = tf_style(*pair[1:], f"--content={content}", f"--output={out}")
    assert again.status == 2
    assert f"kept {out / 'photo_painting.png'}" in again.out
    planned = tf_style(*pair[1:], f"--content={content}", "--output=new/", "--dry_run")
    assert planned.status == 2
    quiet = tf_style(
        *pair[1:], f"--content={content}", "--output=new/", "--dry_run", "--quiet"
    )
    assert (quiet.status, quiet.out) == (2, "")


def test_a_film_that_ends_early_gives_status_2_and_one_line(
    tf_style, pair, stub_model, tmp_path
):
    pytest.importorskip("av")
    pytest.importorskip("cv2")
    frames = films.pan(5, 48, 64)
    path, out = tmp_path / "a.mkv", tmp_path / "out.mp4"
    films.write(path, frames, codec="mjpeg", pix_fmt="yuvj420p", damaged=2)
    painting = next(a for a in pair if str(a).startswith("--style"))
    end = tf_style(f"--content={path}", painting, f"--output={out}", "--quiet")
    assert (end.status, end.out) == (2, "")
    ended, summed_up = end.err.splitlines()
    assert ended.startswith(f"tf_style: {path}: frame 2 cannot be decoded: ")
    assert f"; {out} ends after 2 frames" in ended
    assert summed_up == "tf_style: 1 written, 1 failed"
    assert len(films.read(out)[0]) == 2


@pytest.mark.parametrize("lacking, told", [("av", "PyAV"), ("cv2", "--noflow")])
def test_what_films_need_is_named_in_one_line(
    tf_style, pair, lacking, told, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == lacking else name
    )
    (tmp_path / "a.mp4").write_bytes(b"any")
    painting = next(a for a in pair if str(a).startswith("--style"))
    end = tf_style(f"--content={tmp_path / 'a.mp4'}", painting)
    assert (end.status, end.out) == (1, "")
    (line,) = end.err.splitlines()
    assert told in line and "pip install 'tf_style[video]'" in line


def test_nothing_written_gives_status_1(tf_style, pair, tmp_path):
    end = tf_style(*pair, f"--content={tmp_path / 'nowhere.jpg'}", "--output=")
    assert end.status == 1
    assert end.err == f"tf_style: {tmp_path / 'nowhere.jpg'} does not exist\n"
    assert end.out == ""


PAIR = "--content=a", "--style=b"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--steps=5"], "--content is missing"),
        (["--content=a.jpg"], "--style is missing"),
        (
            ["stray.jpg", "--content=a.jpg", "--style=b.jpg"],
            "as 'stray.jpg' and as --c",
        ),
        (["--stepz=5"], "stepz.*Did you mean: steps.*see --help"),
        (["--mode=fast"], "mode.*hub.*gatys.*compare"),
        (["--steps=many"], "steps.*many"),
        (["--mode=gatys", *PAIR, "--steps=0"], "steps is 0; it must be from 1"),
        (["--mode=gatys", *PAIR, "--style_layer_weights=x"], "must be numbers"),
        ([*PAIR, "--max_side=-1"], "max_side is -1"),
        ([*PAIR, "--output=x.xyz"], r"\.xyz.*must be one of"),
        ([*PAIR, "--style_size=20"], "style_size is 20"),
        ([*PAIR, "--style_weights=1,x"], "style_weights is '1,x'; it must be numbers"),
        ([*PAIR, "--style_scale=9"], "style_scale is 9.0; it must be from 0.25 to 4"),
        ([*PAIR, "--preserve_color=hue"], "preserve_color.*luminance.*covariance"),
        ([*PAIR, "--color_strength=2"], "color_strength is 2.0; it must be from 0 to"),
        ([*PAIR, "--mask=c,d"], "there are 2 masks for 1 styles"),
        ([*PAIR, "--sweep=strength"], "sweep is 'strength'; it must be like"),
        ([*PAIR, "--sweep=steps=1,2"], "sweep: mode hub has no setting 'steps'"),
        ([*PAIR, "--sweep=strength=0,9"], "strength is 9.0; it must be from 0 to 1"),
        (["--from_manifest=a.json", "--mask=c.png"], "--mask cannot be combined with"),
        (["--from_manifest=nowhere.json"], "nowhere.json does not exist"),
        (["--from_manifest=a.json", "--steps=3"], "--steps cannot be combined with"),
    ],
)
def test_bad_usage_is_one_line_and_status_1(
    tf_style, tmp_path, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    end = tf_style(*arguments)
    assert end.status == 1
    assert end.out == ""
    assert re.fullmatch(rf"tf_style: .*{words}.*\n", end.err)
    assert not list(tmp_path.glob("*.*"))


def test_a_size_of_style_for_the_slow_path_need_not_suit_the_fast_one(
    tf_style, pair, slow, tmp_path
):
    """--style_size=20 is out of the range of HubConfig."""
    out = f"--output={tmp_path / 'out.png'}"
    assert tf_style(*pair[:2], *slow, "--style_size=20", out).status == 0


def test_a_manifest_repeats_its_run(tf_style, pair, tmp_path):
    first, again = tmp_path / "out.png", tmp_path / "again.png"
    tf_style(*pair, f"--output={first}", "--max_side=40")
    end = tf_style(f"--from_manifest={tmp_path / 'out.png.json'}", f"--output={again}")
    assert end.status == 0
    assert again.read_bytes() == first.read_bytes()


def test_a_manifest_is_not_repeated_with_a_changed_input(
    tf_style, pair, photo, tmp_path
):
    tf_style(*pair, f"--output={tmp_path / 'out.png'}")
    images.save_image(photo, np.zeros((1, 37, 50, 3)))
    end = tf_style(f"--from_manifest={tmp_path / 'out.png.json'}")
    assert end.status == 1
    assert f"{photo} has changed since the manifest" in end.err


def test_a_preset_is_overridden_by_what_comes_after_it(parsed):
    parsed(f"--flagfile={ROOT / 'configs' / 'paper.flags'}", "--steps=9", *PAIR)
    config = cli_flags.make_job().gatys
    assert (config.steps, config.pooling) == (9, "average")


def test_help_lists_every_flag_with_its_default_without_tensorflow():
    end = process("-X", "importtime", "-m", "tf_style", "--help")
    assert end.returncode == 0
    for flag in cli_flags.ours():
        pattern = rf"--(\[no\])?{flag.name} "
        # The old name of one goes on working, and is not shown.
        assert flag.name == "engine" or re.search(pattern, end.stdout), flag.name
    gatys, neighbors = GatysConfig(), NeighborsConfig()
    for name in (
        "steps",
        "learning_rate",
        "style_weight",
        "backbone",
        "content_weight",
    ):
        (shown,) = re.findall(rf"\n  --{name} .*?(?=\n  --|\n\n)", end.stdout, re.S)
        shown = " ".join(shown.split())
        for config in (gatys, neighbors):
            if hasattr(config, name):
                value = getattr(config, name)
                number = value if isinstance(value, str) else f"{value:g}"
                assert re.search(rf"\b{number}\b[^\[]*\]", shown), (name, shown)
    assert "Repaints photos" in end.stdout
    assert "tf_style.config" in end.stderr  # of the list of imports
    assert "tensorflow" not in end.stderr and "keras" not in end.stderr


def test_bad_usage_of_the_process_is_one_line_without_tensorflow():
    end = process("-X", "importtime", "-m", "tf_style", "--contents=a.jpg")
    assert end.returncode == 1
    *imports, last = end.stderr.splitlines()
    assert last.startswith("tf_style: ") and "content" in last
    assert all(line.startswith("import time:") for line in imports)
    assert not any("tensorflow" in line for line in imports)


@pytest.fixture
def running(photo, painting, slow, tmp_path):
    """The program on the slow path with its stderr on a terminal, until it is ended.

    Gives the process and a file descriptor of the terminal.
    """
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "tf_style", *slow, "--steps=1000000"),
            *(f"--content={photo}", f"--style={painting}"),
            f"--output={tmp_path / 'out.png'}",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=end,
        # Shells start background jobs, such as this one's tests, deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(end)
    yield program, terminal
    program.kill()
    program.communicate()
    os.close(terminal)


def read_until(terminal, pattern, seconds=60):
    """Reads a terminal until a pattern shows up or its other end is closed."""
    seen, deadline = b"", time.monotonic() + seconds
    while not re.search(pattern, seen) and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                seen += os.read(terminal, 1 << 16)
            except OSError:  # Linux' way to say so
                break
    return seen.decode()


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param([signal.SIGINT], marks=pytest.mark.slow),
        [signal.SIGTERM, signal.SIGINT],
    ],
)
def test_interrupted_it_writes_the_best_picture_and_gives_status_130(
    running, tmp_path, signals
):
    program, terminal = running
    bar = read_until(terminal, rb"out\.png:.* [1-9]\d*/1000000 ")
    assert re.search(r"out\.png:.* [1-9]\d*/1000000 ", bar)
    for number in signals:
        program.send_signal(number)
    rest = read_until(terminal, rb"interrupted.*\s+$")
    out, _ = program.communicate(timeout=120)
    assert program.returncode == 130
    assert rest.endswith("interrupted; the same command with --resume continues\r\n")
    assert "Traceback" not in rest
    assert re.fullmatch(rf"wrote {tmp_path / 'out.png'} \(.* s\)\n", out.decode())
    assert images.load_image(tmp_path / "out.png").shape == (1, 37, 50, 3)
    account = json.loads((tmp_path / "out.png.json").read_text())
    assert account["interrupted"] is True
    assert 0 < account["losses"]["total"] < np.inf


@pytest.mark.parametrize(
    "given, lines",
    [
        (("--steps=9",), ["--steps does nothing in mode hub"]),
        (
            ("--beta1=0.5", "--noflow", "--resume"),
            [
                "--beta1 does nothing in mode hub",
                "--flow=False does nothing without a film",
                "--resume does nothing in mode hub",
            ],
        ),
        (("--strength=0.5", "--style_size=44"), []),
    ],
)
def test_flags_that_do_nothing_are_told(tf_style, pair, tmp_path, given, lines):
    end = tf_style(*pair, *given, f"--output={tmp_path / 'out.png'}")
    assert end.status == 0
    assert end.err.splitlines() == [f"tf_style: {line}" for line in lines]
    quiet = tf_style(*pair, *given, f"--output={tmp_path / 'out.png'}", "--quiet")
    assert (quiet.status, quiet.err) == (0, "")


@pytest.mark.parametrize("mode", MODES)
def test_a_bad_value_is_refused_in_all_modes(tf_style, pair, mode):
    for flag, reason in (
        ("--steps=0", "steps is 0; it must be from 1 to 1000000"),
        ("--strength=2", "strength is 2.0; it must be from 0 to 1"),
    ):
        end = tf_style(*pair, f"--mode={mode}", flag)
        assert (end.status, end.err) == (1, f"tf_style: {reason}\n")


def test_a_flag_of_two_methods_is_that_of_the_mode(parsed):
    parsed("--content=a", "--style=b", "--mode=gatys", "--style_size=10000")
    job = cli_flags.make_job()  # beyond what the fast path allows
    assert (job.gatys.style_size, job.hub) == (10000, HubConfig())
    parsed("--mode=hub", "--style_size=99", "--steps=9")
    job = cli_flags.make_job()
    assert (job.hub.style_size, job.gatys) == (99, GatysConfig(steps=9))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="it is of Linux")
def test_help_onto_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        arguments = [sys.executable, "-m", "tf_style", "--help"]
        end = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (end.returncode, end.stderr.count("\n")) == (1, 1)
    assert end.stderr.startswith("tf_style: cannot write the help: No space left")


def test_a_folder_that_was_deleted_under_the_program_is_named(
    tf_style, tmp_path, monkeypatch
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    end = tf_style("a.jpg", "b.jpg", "--model=builtin")
    assert end.status == 1
    assert end.err == (
        "tf_style: the current folder was deleted; change to another one\n"
    )
