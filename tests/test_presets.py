"""Presets: every file of configs/ is a valid run, and holds what its source says."""

from pathlib import Path

import pytest
from absl import flags
from absl.testing import flagsaver

from tf_style.cli import flags as cli_flags
from tf_style.config import GatysConfig
from tf_style.jobs.job import unused_settings

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
PRESETS = sorted(CONFIGS.glob("*.flags"))


def _job(*arguments):
    """Makes the job of a command line, and leaves the flags as they were."""
    with flagsaver.flagsaver():
        program = ["tf_style", "--content=photo.jpg", "--style=painting.jpg"]
        leftovers = flags.FLAGS([*program, *arguments])[1:]
        assert leftovers == []
        return cli_flags.make_job()


def _preset(name, *overrides):
    return _job(f"--flagfile={CONFIGS / name}", *overrides)


def test_there_are_presets():
    assert {"paper.flags", "tutorial.flags"} <= {path.name for path in PRESETS}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_preset_is_a_valid_run(path):
    job = _preset(path.name)
    assert (job.contents, job.styles) == (("photo.jpg",), ("painting.jpg",))
    assert job != _job(), "it changes nothing"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_all_of_a_preset_does_something(path):
    assert unused_settings(_preset(path.name)) == []


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_preset_says_how_it_is_used_and_what_to_expect(path):
    text = path.read_text("utf-8")
    head = text[: text.index("\n--")]
    assert f"python -m tf_style --flagfile=configs/{path.name}" in head
    assert "# Expect" in head
    # absl takes other lines for arguments.
    assert all(line.startswith(("#", "--")) for line in text.splitlines() if line)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_what_follows_a_preset_wins(path):
    job = _preset(path.name, "--mode=compare", "--max_side=99")
    assert (job.mode, job.max_side) == ("compare", 99)


def test_parsing_a_preset_leaves_no_trace():
    before = _job()
    _preset("tutorial.flags", "--steps=7")
    assert _job() == before
    assert before.gatys == GatysConfig()


def test_tutorial_preset_is_the_tutorials():
    # https://www.tensorflow.org/tutorials/generative/style_transfer
    job = _preset("tutorial.flags")
    assert (job.mode, job.max_side) == ("gatys", 512)
    assert job.gatys == GatysConfig(
        backbone="vgg19",
        pooling="max",
        optimizer="adam",
        content_layers=("block5_conv2",),
        style_layers=(
            "block1_conv1",
            "block2_conv1",
            "block3_conv1",
            "block4_conv1",
            "block5_conv1",
        ),
        style_layer_weights=(),
        content_weight=1e4,
        style_weight=1e-2,
        # A sum there, a mean over pixels here: for 512x384.
        tv_weight=30 * 512 * 384,
        init="content",
        steps=1000,
        scales=1,
        learning_rate=0.02,
        beta1=0.99,
        epsilon=0.1,
        style_size=512,
    )


def test_paper_preset_is_the_papers():
    # Gatys et al. (2016), section 3 and figure 3.
    job = _preset("paper.flags")
    gatys = job.gatys
    assert job.mode == "gatys"
    assert (gatys.backbone, gatys.pooling) == ("vgg19", "average")
    assert (gatys.init, gatys.scales, gatys.tv_weight) == ("noise", 1, 0)
    assert gatys.content_layers == ("conv4_2",)
    assert gatys.style_layers == tuple(f"conv{block}_1" for block in range(1, 6))
    assert gatys.style_layer_weights == ()


def test_paper_preset_has_the_papers_ratio_of_content_to_style():
    gatys = _preset("paper.flags").gatys
    # conv4_2 has 512 channels and an eighth of each side. The paper's content term is
    # half the sum where ours is the mean, its style term a quarter of ours.
    height, width, channels = 384 // 8, 512 // 8, 512
    alpha = gatys.content_weight / (height * width * channels / 2)
    beta = gatys.style_weight / (1 / 4)
    assert alpha / beta == pytest.approx(1e-3, rel=0.01)
