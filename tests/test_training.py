"""The training of the built-in stylizer: its losses by hand, and a run in small."""

import importlib
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

SHIPPED = ROOT / "tf_style" / "fast" / "builtin" / "stylizer.npz"


@pytest.fixture(scope="module")
def training():
    """The modules of training/, which is no package."""
    names = ("commands", "data", "drawings", "losses", "stylizer", "teacher")
    sys.path.insert(0, str(ROOT / "training"))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    sys.path.remove(str(ROOT / "training"))
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="module")
def losses(training):
    return training.losses


@pytest.fixture
def seeds():
    return keras.random.SeedGenerator(1)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Files of weights of two narrow networks of VGG-19's kind, exact and distilled."""
    folder, rng = tmp_path_factory.mktemp("networks"), np.random.default_rng(1)
    exact, distilled = {}, {"e5/conv0": (1, 3, 3)}
    below = 3
    for block, count in enumerate((2, 2, 4, 4), 1):
        for layer in range(1, count + 1):
            distilled[f"e5/conv{block}{layer}"] = 3, below, 4 * block
            if block < 4:
                exact[f"block{block}_conv{layer}"] = 3, below, 4 * block
            below = 4 * block
    paths = folder / "exact.npz", folder / "distilled.npz"
    kinds = (exact, "/kernel", "/bias"), (distilled, ".weight", ".bias")
    for path, (layers, kernel, bias) in zip(paths, kinds):
        arrays = {}
        for name, (side, inputs, outputs) in layers.items():
            deviation = np.sqrt(2 / (side * side * inputs))
            arrays[name + bias] = np.zeros(outputs)
            arrays[name + kernel] = rng.normal(
                0, deviation, (side, side, inputs, outputs)
            )
        np.savez(path, **arrays)
    return paths


def noise(seed, *shape):
    return np.random.default_rng(seed).random(shape, np.float32)


def chessboard(side):
    board = np.indices((side, side)).sum(0) % 2
    return np.float32(board)[None, :, :, None] * np.ones(3, np.float32)


# Losses


def test_earth_is_moved_from_the_side_that_lacks_more(losses):
    ours = np.float32([[[1, 0], [0, 1]]])
    theirs = np.float32([[[1, 0], [1, 0]]])
    # Theirs are all among ours; of ours, one is at a right angle to all of theirs.
    assert float(losses.moved_earth(ours, theirs)) == pytest.approx(0.5)
    assert float(losses.moved_earth(theirs, ours)) == pytest.approx(0.5)
    assert float(losses.moved_earth(ours, -ours)) == pytest.approx(1)
    assert float(losses.moved_earth(ours, ours[:, ::-1])) == pytest.approx(0)


def test_a_palette_is_a_set_of_colours_wherever_they_are(losses, seeds):
    red = np.zeros((1, 8, 8, 3), np.float32)
    red[..., 0] = 1
    blue = red[..., ::-1]
    assert float(losses.palette_error(red, blue, seeds)) == pytest.approx(
        2**0.5, abs=1e-3
    )
    assert float(losses.palette_error(red, red, seeds)) == pytest.approx(0, abs=0.01)


def test_layout_is_relations_between_places(losses, seeds):
    features = noise(1, 2, 9, 7, 5)
    for same in (features, 3 * features, features + 2, features[..., ::-1]):
        assert float(losses.layout_error(features, same, seeds)) == pytest.approx(
            0, abs=1e-4
        )
    assert float(losses.layout_error(features, features[:, ::-1], seeds)) > 0.1


def test_clouds_are_what_varies_slowly_where_the_photo_is_even(losses):
    even = np.full((1, 32, 32, 3), 0.5, np.float32)
    cloudy = even.copy()
    cloudy[:, :16], cloudy[:, 16:] = 0, 1
    assert float(losses.clouds(even, cloudy)) == pytest.approx(0.25, rel=0.01)
    assert float(losses.clouds(even, chessboard(32))) == pytest.approx(0, abs=1e-6)
    assert float(losses.clouds(chessboard(32), cloudy)) == pytest.approx(0, abs=1e-3)


def test_only_a_chessboard_alternates(losses):
    board = np.asarray(losses.alternating(chessboard(6)))
    assert board.shape == (1, 4, 4, 3)
    np.testing.assert_allclose(np.abs(board), 0.5)
    stripes = np.broadcast_to(np.arange(6) % 2, (1, 6, 6))[..., None]
    ramp = np.arange(36).reshape(1, 6, 6, 1)
    for picture in (stripes, ramp):
        assert not np.any(losses.alternating(np.float32(picture)))


def test_errors_are_shares_of_what_is_compared(losses):
    target = noise(1, 2, 4, 4)
    for factor, bounded, relative in ((1, 0, 0), (0, 2, 1), (3, 0.8, 4), (-1, 4, 4)):
        value = factor * target
        assert float(losses.bounded_error(value, target)) == pytest.approx(
            bounded, abs=1e-4
        )
        assert float(losses.relative_error(value, target)) == pytest.approx(
            relative, abs=1e-4
        )


def test_the_judge_finds_nothing_wrong_with_what_is_right(training, networks, seeds):
    exact, distilled = networks
    teacher = training.teacher
    judge = training.losses.Judge(
        teacher.Exact(exact), teacher.Distilled(distilled, mapped=())
    )
    photo, style = noise(1, 1, 32, 32, 3), noise(2, 1, 32, 32, 3)
    found = judge(photo, style, photo, seeds), judge(photo, style, style, seeds)
    photo_painted, style_painted = ({k: float(v) for k, v in f.items()} for f in found)
    assert set(photo_painted) == set(training.losses.WEIGHTS)
    for name in ("layout", "content", "itself"):
        assert photo_painted[name] == pytest.approx(0, abs=1e-3)
        assert style_painted[name] > 0.01
    assert style_painted["style"] == pytest.approx(0, abs=1e-6)
    assert photo_painted["style"] > 1e-3


# Pictures


def test_colours_vary_in_every_second_picture(training, seeds):
    pictures = np.random.default_rng(1).integers(0, 256, (64, 5, 7, 3), np.uint8)
    varied = np.asarray(training.stylizer.vary_colours(pictures, seeds))
    assert varied.shape == pictures.shape and varied.dtype == np.float32
    assert varied.min() >= 0 and varied.max() <= 1
    kept = [np.allclose(a, b / 255, atol=1e-6) for a, b in zip(varied, pictures)]
    assert 16 < sum(kept) < 48


@pytest.fixture
def options():
    return SimpleNamespace(
        seed=1, side=8, batch=2, steps=6, checkpoint_every=2, rate=0.1, minutes=600
    )


@pytest.fixture
def crops(training, options):
    pictures = list(np.random.default_rng(1).integers(0, 256, (4, 20, 24, 3), np.uint8))
    sources = [(pictures, 1)]
    return training.stylizer.Crops(
        sources, sources, options, workers=2, max_queue_size=1
    )


def test_the_seed_and_its_number_make_a_batch(crops, options):
    (photos, styles), _ = crops[3]
    for pictures in (photos, styles):
        assert pictures.shape == (2, 8, 8, 3) and pictures.dtype == np.uint8
    again, other = crops[3][0], crops[4][0]
    np.testing.assert_array_equal(again, (photos, styles))
    assert np.any(other[0] != photos) and np.any(other[1] != styles)
    crops.first = 3
    np.testing.assert_array_equal(crops[0][0], (photos, styles))
    options.seed = 2
    assert np.any(crops[0][0][0] != photos)


# Steps


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_no_step_is_taken_from_what_is_no_number(training, odd):
    variables = [keras.Variable([1.0, 2.0]), keras.Variable([3.0])]
    adam = training.stylizer.SoundAdam(0.1)
    adam.build(variables)
    adam.apply([np.float32([odd, 1]), np.float32([1])], variables)
    np.testing.assert_array_equal(np.concatenate(variables), [1, 2, 3])
    adam.apply([np.float32([1, 1]), np.float32([1])], variables)
    assert np.all(np.concatenate(variables) < [1, 2, 3])


class Small(keras.Model):
    """Learns the mean colour of photos, and keeps the means of those that it saw.

    It is interrupted when it is shown photo number `until`.
    """

    def __init__(self, until=None):
        super().__init__()
        self.colour = self.add_weight((3,), "zeros", name="colour")
        self.built = True
        self.seen, self.until = [], until

    def compile(self, *args, **kwargs):
        super().compile(*args, run_eagerly=True, **kwargs)

    def call(self, pictures):
        if len(self.seen) == self.until:
            raise KeyboardInterrupt
        photo, _ = pictures
        self.seen.append(np.mean(photo))
        mean = keras.ops.mean(keras.ops.cast(photo, "float32") / 255, (0, 1, 2))
        return keras.ops.sum(keras.ops.square(self.colour - mean))

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return y_pred

    def weights_to_ship(self):
        return self.get_weights()


def test_a_run_that_was_stopped_goes_on(training, crops, options, tmp_path, capsys):
    def fit(folder, until=None):
        model, path = Small(until), tmp_path / folder / "out.npz"
        path.parent.mkdir(exist_ok=True)
        crops.first = 0
        try:
            training.stylizer.fit(model, crops, options, path)
        except KeyboardInterrupt:
            return model.seen, None
        finally:
            lines = capsys.readouterr().out.splitlines()
            steps.extend(int(line.split()[0]) for line in lines)
        with np.load(path) as held:
            return model.seen, held["arr_0"]

    steps = []
    all_seen, colour = fit("whole")
    assert steps == [2, 4, 6]
    # Every batch is another.
    assert all_seen == [np.mean(crops[i][0][0]) for i in range(6)]

    steps.clear()
    assert fit("stopped", until=5) == (all_seen[:5], None)
    assert steps == [2, 4]
    seen, going_on = fit("stopped")
    assert steps == [2, 4, 6] and seen == all_seen[4:]
    np.testing.assert_array_equal(going_on, colour)

    seen, again = fit("stopped")
    assert not seen
    np.testing.assert_array_equal(again, colour)


def test_time_that_is_up_ends_a_run(training, crops, options, tmp_path):
    options.minutes = 1e-9
    model = Small()
    training.stylizer.fit(model, crops, options, tmp_path / "out.npz")
    assert len(model.seen) == options.checkpoint_every
    assert (tmp_path / "out.npz").exists()


@pytest.fixture
def command(networks, tmp_path):
    """The command line of the smallest training."""
    rng = np.random.default_rng(1)
    for name in ("photo", "painting"):
        pixels = rng.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(pixels).resize((160, 120)).save(tmp_path / f"{name}.png")
    exact, distilled = networks
    return [
        "stylizer.py",
        f"--photos={tmp_path}/photo.png",
        f"--paintings={tmp_path}/painting.png",
        f"--exact={exact}",
        f"--distilled={distilled}",
        f"--folder={tmp_path}/run",
        *("--side=64", "--batch=2", "--drawings=1"),
        *("--steps=2", "--checkpoint_every=1"),
    ]


def test_steps_come_in_whole_checkpoints(training, command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [*command, "--checkpoint_every=4"])
    with pytest.raises(SystemExit):
        training.stylizer.main()
    assert "--steps=2 is no multiple of --checkpoint_every=4" in capsys.readouterr().err


@pytest.mark.slow
def test_training_writes_what_ships(training, command, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", command)
    training.stylizer.main()
    with np.load(tmp_path / "run" / "stylizer.npz") as made, np.load(SHIPPED) as held:
        assert made.files == held.files
        for name in held.files:
            assert made[name].shape == held[name].shape
            assert made[name].dtype == held[name].dtype
            assert np.all(np.isfinite(made[name]))
