"""Verification: pairs of labelled images, and how often two embeddings say rightly whether they match."""

import itertools

import pytest
import torch

from engine.analysis.answers.accuracy import wilson
from engine.analysis.answers.verification import (
    best_threshold,
    equal_error_rate,
    judged_rightly,
    pairs_of,
    verify,
)


def labels(*sizes):
    """So many images of each label, in a mixed order."""
    listed = torch.cat([torch.full((size,), k) for k, size in enumerate(sizes)])
    return listed[torch.randperm(len(listed), generator=torch.Generator().manual_seed(7))]


@pytest.mark.parametrize("sizes", [(40, 40, 40), (40, 41, 43), (100, 8, 4), (12, 12), (3, 1, 1)])
def test_every_image_is_in_one_pair_at_most_and_half_are_of_the_same(sizes):
    y = labels(*sizes)
    pairs = pairs_of(y)
    used = torch.cat([pairs.first, pairs.second])
    assert len(used.unique()) == len(used)
    assert torch.equal(pairs.same, y[pairs.first] == y[pairs.second])
    assert int(pairs.same.sum()) == sum(size // 4 for size in sizes)
    rest = [size - size // 4 * 2 for size in sizes]
    different = min(sum(rest) // 2, sum(rest) - max(rest))
    assert int((~pairs.same).sum()) == different


def test_pairs_are_the_same_ones_whatever_the_state_of_torch():
    first = pairs_of(labels(20, 20))
    torch.manual_seed(1234)
    assert all(torch.equal(a, b) for a, b in zip(first, pairs_of(labels(20, 20)), strict=True))


def naive_errors(cosines, same, threshold):
    return sum((c > threshold) != s for c, s in zip(cosines.tolist(), same.tolist(), strict=True))


def some(seed, ties=False):
    rng = torch.Generator().manual_seed(seed)
    same = torch.rand(60, generator=rng) < 0.5
    cosines = torch.randn(60, generator=rng) * 0.3 + 0.5 * same
    return (cosines * 4).round() / 4 if ties else cosines, same


@pytest.mark.parametrize(("seed", "ties"), [*itertools.product(range(4), (False, True))])
def test_no_threshold_errs_less_than_the_best(seed, ties):
    cosines, same = some(seed, ties)
    best = naive_errors(cosines, same, best_threshold(cosines, same))
    tried = [naive_errors(cosines, same, t) for t in torch.linspace(-2, 2, 2001).tolist()]
    assert best == min(tried)


def test_a_threshold_is_never_chosen_on_what_it_judges():
    """One odd pair in a fold of its own: seen, it would have moved the threshold, and been judged rightly."""
    same = torch.arange(20) % 2 == 0
    cosines = torch.where(same, 0.9, 0.1)
    cosines[0] = 0.2  # the same, and still the least of its kind
    right = judged_rightly(cosines, same)
    assert right.tolist() == [False] + [True] * 19
    assert naive_errors(cosines, same, best_threshold(cosines, same)) == 0


@pytest.mark.parametrize("seed", range(4))
def test_each_tenth_is_judged_by_the_threshold_of_the_other_nine(seed):
    cosines, same = some(seed)
    right = judged_rightly(cosines, same)
    for fold in range(10):
        others = torch.tensor([k for k in range(60) if k % 10 != fold])
        threshold = best_threshold(cosines[others], same[others])
        for k in range(fold, 60, 10):
            assert bool(right[k]) is bool((cosines[k] > threshold) == same[k])


@pytest.mark.parametrize("seed", range(3))
def test_the_equal_error_rate_is_that_of_the_cut_at_which_both_are_nearest(seed):
    cosines, same = some(seed)
    cuts = []
    for threshold in [-9.0, *cosines.tolist()]:
        away = float((cosines[same] <= threshold).float().mean())
        into = float((cosines[~same] > threshold).float().mean())
        cuts.append((abs(away - into), (away + into) / 2))
    least = min(cut[0] for cut in cuts)
    found = equal_error_rate(cosines, same)
    assert any(found == pytest.approx(mean, abs=1e-6) for gap, mean in cuts if gap < least + 1e-6)


def test_of_thresholds_that_err_alike_the_lowest_is_taken_in_the_middle_of_its_gap():
    same = torch.tensor([False, True, False, True])
    cosines = torch.tensor([0.0, 0.2, 0.6, 1.0])
    assert best_threshold(cosines, same) == pytest.approx(0.1)
    assert best_threshold(cosines, torch.ones(4, dtype=torch.bool)) == pytest.approx(-0.5)
    assert best_threshold(cosines, torch.zeros(4, dtype=torch.bool)) == pytest.approx(1.5)


def test_equal_error_rate_by_hand():
    """Of four and four: above .65 and up to .7 one of each is on the wrong side."""
    same = torch.tensor([True] * 4 + [False] * 4)
    cosines = torch.tensor([0.9, 0.8, 0.75, 0.65, 0.7, 0.2, 0.1, 0.0])
    assert equal_error_rate(cosines, same) == 0.25
    cosines[3] = 0.71
    assert equal_error_rate(cosines, same) == 0
    assert equal_error_rate(cosines[:4].repeat(2), same) == 0.5  # they tell nothing apart
    assert equal_error_rate(torch.ones(8), same) == 0.5


def test_both_networks_are_judged_on_the_same_pairs_with_bands():
    y = labels(60, 60, 60)
    clear = torch.nn.functional.one_hot(y, 3).float()
    noise = torch.randn(len(y), 3, generator=torch.Generator().manual_seed(0))
    found = verify(y, clear, noise)
    assert found["pairs"] == 90
    assert (found["error"]["fp32"], found["eer"]["fp32"]) == (0, 0)
    assert 0.3 < found["error"]["quantized"] < 0.7
    wrong = round(found["error"]["quantized"] * 90)
    assert found["band"]["quantized"] == list(wilson(wrong, 90))
    assert (found["change"]["lost"], found["change"]["won"]) == (wrong, 0)
    assert found["change"]["band"][0] > 0


@pytest.mark.parametrize("sizes", [(8, 8), (200,), (1,) * 50])
def test_nothing_is_said_where_there_are_too_few_pairs_or_only_one_sort(sizes):
    y = labels(*sizes)
    same = torch.randn(len(y), 4)
    assert verify(y, same, same) is None
