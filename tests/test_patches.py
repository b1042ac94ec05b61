"""Distances of patches: what is near by construction is near by them."""

import numpy as np
import pytest

from tf_style import images
from tf_style.networks import patches


@pytest.fixture(scope="module")
def pair():
    """A photo of 96x64 and a painting of 80x80 pixels, of other colours and grain."""
    rng = np.random.default_rng(4)
    photo = images.resize(rng.random((1, 8, 12, 3), np.float32), 64, 96)
    return photo, rng.random((1, 80, 80, 3), np.float32) ** 3


def test_the_photo_keeps_its_own_structure_and_the_painting_is_its_own_patches(pair):
    photo, painting = pair
    assert patches.measure(photo, [painting], photo).structure == pytest.approx(0)
    found = patches.measure(painting, [painting], painting)
    assert found == pytest.approx((0, 0, 0), abs=1e-5)


def test_a_collage_of_the_painting_is_near_to_it_and_far_from_the_photo(pair):
    photo, painting = pair
    collage = np.concatenate([painting[:, :64, :48], painting[:, :64, 32:]], 2)
    near, far = (patches.measure(photo, [painting], p) for p in (collage, photo))
    assert near.fidelity < 0.9 * far.fidelity
    assert near.coverage < 0.9 * far.coverage
    assert near.structure > 0.1


def test_one_kind_of_piece_alone_is_true_to_the_painting_and_does_not_cover_it(pair):
    photo, _ = pair
    half = np.random.default_rng(5).random((1, 64, 48, 3), np.float32)
    painting = np.concatenate([half, half[..., ::-1] * [1, 0.2, 0.2]], 2)
    painting = painting.astype(np.float32)
    one = np.concatenate([half, half[:, ::-1]], 2)
    found = patches.measure(photo, [painting], one)
    assert found.fidelity < 0.9 * found.coverage


def test_of_several_paintings_the_shares_count(pair):
    photo, painting = pair
    other = 1 - images.resize(photo, 50, 70)
    alone = patches.measure(photo, [painting], photo)
    assert patches.measure(photo, [painting, other], photo, [2, 0]) == alone
    both = patches.measure(photo, [painting, other], photo)
    assert both != alone and np.isfinite(both).all()


@pytest.mark.parametrize("size", [(5, 9), (1500, 12)])
def test_any_size_is_measured(size):
    picture = np.random.default_rng(6).random((1, *size, 3), np.float32)
    found = patches.measure(picture, [picture[:, ::-1]], 1 - picture)
    assert np.isfinite(found).all() and found.structure > 0
