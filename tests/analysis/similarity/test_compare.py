"""The table of all layers by all, and the test of namesakes."""

import itertools

import numpy as np
import pytest

from engine.analysis.similarity.compare import cosine, matrix, permutation_test


def test_cosines_by_hand():
    assert cosine(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(24 / 25)
    assert cosine(np.array([1.0, 0.0]), np.array([-2.0, 0.0])) == -1
    assert cosine(np.zeros(2), np.ones(2)) is None


def test_only_layers_of_one_shape_have_a_cosine():
    ours = {"a": np.ones((2, 3)), "b": np.ones((3, 2))}
    theirs = {"a": -np.ones((2, 3)), "c": np.ones((2, 3)), "d": np.ones((4, 1))}
    assert matrix(ours, theirs) == [[pytest.approx(-1), pytest.approx(1), None], [None, None, None]]


def test_the_share_of_pairings_is_that_of_all_of_them():
    """Four layers of one shape: all 24 pairings counted one by one, beside the drawn ones."""
    table = np.random.default_rng(4).random((4, 4))
    table[np.arange(4), np.arange(4)] += 0.3
    found = permutation_test(table.tolist(), ["x"] * 4, seed=0, draws=4000)
    true = table[np.arange(4), np.arange(4)].mean()
    every = [table[np.arange(4), list(p)].mean() for p in itertools.permutations(range(4))]
    share = np.mean([mean >= true - 1e-12 for mean in every])
    assert 0 < share < 1
    assert found.p == pytest.approx(share, abs=0.03)
    assert found.same == pytest.approx(true)
    off = table[~np.eye(4, dtype=bool)]
    assert found.different == pytest.approx(off.mean())


def test_unrelated_layers_are_found_related_no_more_often_than_chance():
    found = [
        permutation_test(np.random.default_rng(seed).random((8, 8)).tolist(), [0] * 8, 1, 99).p
        for seed in range(200)
    ]
    assert 0.01 < np.mean(np.array(found) <= 0.1) < 0.2  # 0.1 with a deviation of 0.02


def test_layers_of_other_shapes_are_not_dealt_out():
    table = [[1.0, None, 0.2], [None, 0.0, None], [0.1, None, 1.0]]
    found = permutation_test(table, ["x", "y", "x"], seed=0)
    assert found.same == 1
    assert found.different == pytest.approx(0.15)
    assert found.p == pytest.approx(0.5, abs=0.06)  # two pairings in all
    alone = permutation_test([[1.0, None], [None, 1.0]], ["x", "y"], seed=0)
    assert alone.p is None
    assert alone.pairings == 0


def test_a_layer_without_a_direction_is_like_no_other():
    found = permutation_test([[None, 0.4], [None, 1.0]], ["x", "x"], seed=0)
    assert found.same == 0.5  # a cosine that is not there counts as 0
    assert found.different == pytest.approx(0.2)


def test_no_share_is_zero_however_clear_it_is():
    found = permutation_test(np.eye(12).tolist(), [0] * 12, seed=0)
    assert found.p == pytest.approx(1 / 1000)
