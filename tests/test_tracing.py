"""One graph for all sizes, whoever calls."""

import concurrent.futures
import threading

import numpy as np
import pytest
import tensorflow as tf

from tf_style.networks import tracing
from tf_style.networks.tracing import Traced


@pytest.fixture
def ran():
    """The arguments that the function below was traced with."""
    return []


@pytest.fixture
def mean(ran):
    """The mean of a picture, and of a list of vectors."""

    def mean(picture, vectors):
        ran.append((picture.shape, len(vectors)))
        return tf.reduce_mean(picture), [tf.reduce_mean(vector) for vector in vectors]

    return Traced(mean)


def picture(height, width, channels=3):
    return np.full((1, height, width, channels), height / width, np.float32)


def test_pictures_of_all_sizes_share_a_graph(mean, ran):
    for height, width in ((2, 3), (5, 3), (2, 3), (7, 9)):
        found, [vector] = mean(picture(height, width), [tf.ones(height * width)])
        assert float(found) == pytest.approx(height / width)
        assert float(vector) == 1
    assert [tuple(shape) for shape, _ in ran] == [(1, None, None, 3)]
    assert mean.count == 1


def test_another_structure_has_a_graph_of_its_own(mean, ran):
    one = tf.ones(4)
    for _ in range(2):
        mean(picture(2, 3), [one])
        mean(picture(2, 3), [one, one])
        mean(picture(2, 3, channels=4), [one])
        mean(tf.cast(picture(2, 3), tf.bfloat16), [one])
        mean(picture(2, 3), [])
    assert mean.count == len(ran) == 5


def test_arrays_and_tensors_share_a_graph(mean):
    mean(picture(2, 3), [np.ones(4, np.float32)])
    mean(tf.constant(picture(2, 3)), [tf.ones(4)])
    assert mean.count == 1


def test_several_threads_trace_once(mean, ran):
    together = threading.Barrier(4)

    def call(height):
        together.wait()
        return float(mean(picture(height, 2), [])[0])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(call, (1, 2, 3, 4)))
    assert found == pytest.approx([0.5, 1, 1.5, 2])
    assert len(ran) == 1


def test_untraced_it_runs_anew_each_time_and_finds_the_same(mean, ran):
    with tracing.untraced():
        for height in (1, 2):
            found, _ = mean(picture(height, 2), [])
            assert float(found) == height / 2
    assert ran == [((1, 1, 2, 3), 0), ((1, 2, 2, 3), 0)]
    assert mean.count == 0
    mean(picture(3, 2), [])
    assert mean.count == 1


def test_other_threads_trace_meanwhile(mean):
    with tracing.untraced(), concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(mean, picture(1, 2), []).result()
    assert mean.count == 1
