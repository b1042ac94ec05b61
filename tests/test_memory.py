"""Memory: what is estimated, and the tiles that are chosen for it."""

import pytest

from tf_style.config import GatysConfig
from tf_style.optimization import gatys, memory, objective, tiles
from tf_style.system import hardware

GIB = 2**30


@pytest.fixture
def builtin():
    """The built-in backbone in float32."""
    return gatys.load_backbone(GatysConfig(backbone="builtin", precision="float32"))


@pytest.mark.parametrize("side", [0, 256])
def test_four_times_the_pixels_need_up_to_four_times_the_memory(builtin, side):
    small, large = (
        memory.estimate_memory(builtin, (size, size), side) for size in (2048, 4096)
    )
    assert 2.5 * small < large < 4 * small


def test_smaller_tiles_need_less(builtin):
    whole, *tiled = (
        memory.estimate_memory(builtin, (4096, 3072), side) for side in (0, 1024, 256)
    )
    assert whole > tiled[0] > tiled[1]
    # Whatever fits into one tile is the whole.
    assert memory.estimate_memory(builtin, (200, 256), 256) == (
        memory.estimate_memory(builtin, (200, 256), 0)
    )


def test_fewer_bits_need_less(builtin):
    half = gatys.load_backbone(GatysConfig(backbone="builtin", precision="bfloat16"))
    size = (2048, 2048)
    assert memory.estimate_memory(half, size) < memory.estimate_memory(builtin, size)


def test_the_estimate_is_what_was_measured(builtin):
    # 3105 MiB at most for 2048x2048 pixels, of which 270 were there before TensorFlow
    # had worked at all, and without an optimizer.
    found = memory.estimate_memory(builtin, (2048, 2048)) / GIB
    assert found == pytest.approx((3105 - 270 + 23 * 4 * 3 * 2) / 1024, rel=0.15)


@pytest.mark.parametrize(
    "free, kind, side",
    [
        (64 * GIB, objective.Objective, 0),
        (None, objective.Objective, 0),
        (4.4 * GIB, tiles.TiledObjective, 512),
        (2.5 * GIB, tiles.TiledObjective, 256),
        (0, tiles.TiledObjective, 256),  # the best that can be tried
    ],
)
def test_what_does_not_fit_is_worked_on_in_tiles(
    monkeypatch, builtin, free, kind, side
):
    monkeypatch.setattr(hardware, "free_memory", lambda: free)
    config = GatysConfig(backbone="builtin", precision="float32")
    assert memory.choose_side(builtin, (2560, 2048)) == side
    assert type(gatys.load_objective(config, (2560, 2048))) is kind
