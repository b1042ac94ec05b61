"""Checkpoints: what is written is read back, and only for the same run."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tf_style.config import GatysConfig, Job
from tf_style.jobs import checkpoint, manifest
from tf_style.optimization import gatys


@pytest.fixture
def state():
    """A state with every type that an optimizer keeps."""
    rng = np.random.default_rng(3)
    return gatys.State(
        index=17,
        image=rng.random((1, 5, 7, 3), np.float32),
        rate=0.005,
        best=rng.random((1, 5, 7, 3), np.float32),
        best_losses={"content": 1.5, "total": 2.5},
        failures=2,
        optimizer_state=[
            rng.random((3, 4), np.float32),
            np.array(12, np.int32),
            tf.cast(rng.random(105), tf.bfloat16).numpy(),
        ],
    )


def account(steps=300, content="abc", backbone="def", folder="/here", **settings):
    job = Job(
        contents=("a.png",),
        styles=("b.png",),
        mode="gatys",
        gatys=GatysConfig(backbone="builtin", steps=steps, **settings),
    )
    inputs = {"content": (f"{folder}/a.png", content), "style": ("b.png", "123")}
    model = SimpleNamespace(name="builtin", source=f"{folder}/vgg", checksum=backbone)
    return manifest.describe(job, inputs, {"gatys": model})


def test_a_state_is_read_back_bit_for_bit(tmp_path, state):
    path = tmp_path / "out.png.checkpoint.npz"
    checkpoint.write(path, state, account())
    found = checkpoint.read(path, account())
    for name, value in state._asdict().items():
        if name not in ("image", "best", "optimizer_state"):
            assert getattr(found, name) == value
    for array, wanted in zip(
        [found.image, found.best, *found.optimizer_state],
        [state.image, state.best, *state.optimizer_state],
    ):
        assert (array.dtype, array.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(array, wanted)


def test_where_the_inputs_lie_does_not_matter(tmp_path, state):
    path = tmp_path / "out.png.checkpoint.npz"
    checkpoint.write(path, state, account(folder="/here"))
    assert checkpoint.read(path, account(folder="/there")).index == 17


@pytest.mark.parametrize(
    "other, difference",
    [
        ({"steps": 200}, "steps 300, not 200"),
        ({"tv_weight": 2.0}, "tv_weight 0.0, not 2.0"),
        (
            {"content_layers": ("block5_conv2", "block4_conv2")},
            "content_layers block4_conv2, not block5_conv2,block4_conv2",
        ),
        ({"content": "xyz"}, "another content"),
        ({"backbone": "xyz"}, "another gatys"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_with_the_difference(
    tmp_path, state, other, difference
):
    path = tmp_path / "out.png.checkpoint.npz"
    checkpoint.write(path, state, account())
    with pytest.raises(ValueError, match="leave out --resume") as error:
        checkpoint.read(path, account(**other))
    assert f"to a run with {difference};" in str(error.value)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", None])
def test_a_damaged_checkpoint_is_told_from_one(tmp_path, state, damage):
    path = tmp_path / "out.png.checkpoint.npz"
    checkpoint.write(path, state, account())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(ValueError, match="is not a checkpoint of tf_style"):
        checkpoint.read(path, account())


def test_another_archive_is_no_checkpoint(tmp_path):
    path = tmp_path / "out.png.checkpoint.npz"
    np.savez(path, image=np.zeros(3))
    with pytest.raises(ValueError, match="is not a checkpoint of tf_style"):
        checkpoint.read(path, account())


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_run_that_goes_on_ends_with_the_picture_of_one_that_never_stopped(
    tmp_path, content, style, shallow, optimizer
):
    config = GatysConfig(**shallow, steps=8, optimizer=optimizer)
    path = tmp_path / "out.png.checkpoint.npz"
    states, whole = [], []
    for step in gatys.iterate(content, style, config):
        states.append(step.state())
        whole.append(step)
    # In the middle of a scale, at the end of one, and with nothing left to update.
    for stopped in (2, 4, 6, 8, 9):
        checkpoint.write(path, states[stopped - 1], account())
        state = checkpoint.read(path, account())
        rest = list(gatys.iterate(content, style, config, state=state))
        first = min(stopped, 8)
        assert [step.index for step in rest] == list(range(first, 9))
        np.testing.assert_array_equal(rest[-1].best, whole[-1].best)
        assert rest[-1].best_losses == whole[-1].best_losses
