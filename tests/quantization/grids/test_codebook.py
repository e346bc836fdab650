"""One codebook for a network: its values against all sums, its rounds against a slow second reading."""

import itertools
import math

import numpy as np
import pytest
import torch

from engine.quantization.grids.weights.codebook.fixed_weight import (
    READER_BITS,
    VALUE_BITS,
    FixedWeightCodes,
)
from engine.quantization.grids.weights.codebook.fixing import (
    Cloud,
    Codebook,
    Reach,
    fix_all,
    fix_share,
    shannon_entropy,
)
from engine.quantization.grids.weights.codebook.powers import LEAST_SIGMA, prior_sigma, signed_sums


def gaussian(count, seed=0, std=0.05):
    return std * torch.randn(count, generator=torch.Generator().manual_seed(seed))


def cloud_of(weight, sigma=None, bits=8):
    sigma = prior_sigma(weight) if sigma is None else torch.full_like(weight, sigma)
    return Cloud(
        bits=bits,
        means=weight.clone(),
        sigmas=sigma,
        fixed=torch.zeros(len(weight)).bool(),
        counts=torch.ones(len(weight)),
    )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_values_are_all_sums_of_so_few_signed_powers_of_two(order):
    finest, largest = 3, 0.6
    powers = [sign * 2.0**k for k in range(-finest, 1) for sign in (-1, 1)]
    every = {sum(few) for few in itertools.product([0, *powers], repeat=order)}
    wanted = sorted(value for value in every if abs(value) <= largest)
    assert signed_sums(order, finest, largest).tolist() == wanted


def test_a_weight_moves_the_less_the_nearer_a_power_of_two_is():
    # r of 0.75 is (0.25 / 0.75)², of 0.625 it is (0.125 / 0.625) (0.375 / 0.625), of 0.5 it is 0
    weight = torch.tensor([0.5, 0.625, -0.75, -0.625, 0.0])
    found = prior_sigma(weight) / prior_sigma(weight)[1]
    assert found[2].item() == pytest.approx((1 / 9) / 0.12, rel=1e-4)
    assert found[3].item() == 1.0
    assert (prior_sigma(weight)[[0, 4]] == LEAST_SIGMA).all()
    assert prior_sigma(weight)[1].item() == pytest.approx(0.0025)  # the 75th percentile


def slow_round(weights, sigmas, quota, reach, held=None, room=math.inf):
    """The rule for one round, value by value and weight by weight, until there is room for no other value.

    `held`: how many weights each value of the codebook has, from rounds before and then from this one.
    """
    left, taken = dict(enumerate(weights)), {}
    order, delta, widen = 1, reach.delta, False
    held = {} if held is None else held

    def near(value):
        """Which weights the value has within δ σ, nearest first."""
        away = {k: abs(w - value) / max(sigmas[k], 2.0**-20) for k, w in left.items()}
        if value == 0:
            away |= {k: 0.0 for k, w in left.items() if abs(w) < 2.0**-reach.finest}
        return sorted((k for k in left if away[k] <= delta), key=lambda k: (away[k], k))

    while len(taken) < quota:
        values = signed_sums(order, reach.finest, max(map(abs, left.values()))).tolist()
        values = sorted({*values, *held})
        while len(taken) < quota:
            each = {value: found for value in values if (found := near(value))}
            if not each:
                break
            value = max(each, key=lambda v: len(each[v]) + held.get(v, 0))  # the lowest of equals
            if value not in held and len(held) >= room:
                return taken
            inside = each[value][: quota - len(taken)]
            held[value] = held.get(value, 0) + len(inside)
            for k in inside:
                taken[k] = value
                del left[k]
        if not widen and order < reach.most_order:
            order += 1
        else:
            delta *= 2
        widen = not widen
    return taken


@pytest.mark.parametrize("share", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("delta", [0.5, 4.0])
def test_a_round_fixes_what_a_slow_second_implementation_fixes(share, delta):
    weight, reach = gaussian(300, seed=3).double(), Reach(delta=delta)
    cloud = cloud_of(weight)
    sigmas = cloud.sigmas.tolist()
    fix_share(cloud, share, Codebook(), reach)
    wanted = slow_round(weight.tolist(), sigmas, round(share * 300), reach)
    found = {k: cloud.means[k].item() for k in cloud.fixed.nonzero()[:, 0].tolist()}
    assert found == wanted


@pytest.mark.parametrize(
    ("sigma", "delta", "unique", "entropy", "error"),
    [(None, 1.0, 49, 4.60, 0.0032), (0.0025, 4.0, 23, 3.61, 0.0118), (None, 4.0, 37, 4.15, 0.0082)],
)
def test_gaussian_weights_come_to_the_counts_of_a_pilot_made_before(
    sigma, delta, unique, entropy, error
):
    weight = gaussian(20_000)
    cloud, book = cloud_of(weight, sigma), Codebook()
    fix_share(cloud, 1.0, book, Reach(delta=delta))
    values, counts = cloud.means.unique(return_counts=True)
    assert len(values) == len(book.values) == pytest.approx(unique, abs=4)
    assert shannon_entropy(counts) == pytest.approx(entropy, abs=0.3)
    lost = float((cloud.means - weight).square().sum() / weight.square().sum())
    assert lost == pytest.approx(error, rel=0.3)


def test_what_is_fixed_stays_and_rounds_fix_the_share_they_are_to():
    cloud, book = cloud_of(gaussian(1000)), Codebook()
    for share in (0.2, 0.25, 0.9, 1.0):
        before, held = cloud.fixed.clone(), cloud.means.clone()
        cloud.means[~before] += 0.01  # what training does to the others
        fix_share(cloud, share, book, Reach())
        assert int(cloud.fixed.sum()) == round(1000 * share)
        assert torch.equal(cloud.means[before], held[before])
        assert set(cloud.means[cloud.fixed].tolist()) == set(book.values)


def test_the_spread_behind_a_value_is_that_of_what_it_took():
    cloud = cloud_of(torch.tensor([0.249, 0.251, 0.253, 0.9]), sigma=0.01)
    fix_share(cloud, 0.75, Codebook(), Reach())
    assert cloud.means[:3].tolist() == [0.25] * 3
    wanted = np.std([0.249, 0.251, 0.253])
    assert cloud.sigmas[:3].tolist() == pytest.approx([wanted] * 3, rel=1e-3)


def test_weights_below_the_smallest_power_are_0():
    small = torch.linspace(-(2.0**-7), 2.0**-7, 101)[1:-1]
    cloud = cloud_of(small)
    fix_share(cloud, 1.0, Codebook(), Reach())
    assert not cloud.means.any()


@pytest.mark.parametrize("few", [1, 2, 3])
def test_layers_of_b_bits_share_at_most_2_to_the_b_values_and_all_of_them_one_codebook(few):
    small, large = cloud_of(gaussian(2000), bits=few), cloud_of(gaussian(500, 1, 0.3), bits=4)
    book = Codebook()
    for share in (0.1, 0.5, 1.0):
        fix_all([large, small], share, book, Reach())
    assert len(small.means.unique()) <= len(book.of(few)) <= 2**few
    assert len(large.means.unique()) <= len(book.of(4)) <= 16
    assert set(book.of(few).tolist()) <= set(book.of(4).tolist())
    assert set(small.means.double().tolist()) <= set(book.of(few).tolist())
    assert set(large.means.double().tolist()) <= set(book.of(4).tolist())


def test_a_value_of_wider_layers_may_be_taken_by_narrower_ones_while_they_have_room():
    book = Codebook()
    for value in (0.5, 0.25, 0.125):
        book.add(value, 8)
    assert book.of(1).tolist() == []
    assert book.can_add(0.5, 1, fewer=0)
    book.add(0.5, 1)
    book.add(0.0, 1)
    assert book.of(1).tolist() == [0.0, 0.5]
    assert book.of(8).tolist() == [0.0, 0.125, 0.25, 0.5]
    assert not book.can_add(0.25, 1, fewer=0)  # there are two already
    assert book.can_add(0.5, 1, fewer=0)  # it is one of them
    assert book.can_add(1.0, 2, fewer=0)  # of the values for 8 bits none is theirs
    assert Codebook(values=[0.5, 0.25], bits=[2, 2]).can_add(1.0, 2, fewer=0)
    assert not Codebook(values=[0.5, 0.25], bits=[2, 2]).can_add(1.0, 2, fewer=1)  # kept for them
    assert Codebook(values=[0.5, 0.25], bits=[1, 2]).can_add(
        1.0, 2, fewer=1
    )  # one of theirs is there


def test_a_short_codebook_is_planned_at_once_and_reaches_the_large_weights():
    layers = [gaussian(8000, 1, 0.03), gaussian(60, 2, 0.1)]  # many small, few large
    cloud = cloud_of(torch.cat(layers), bits=4)
    alike = cloud_of(torch.cat(layers), bits=4)  # each weight counts as much
    cloud.counts = torch.cat([(1 / one.square().sum()).expand(len(one)) for one in layers])
    book, other = Codebook(), Codebook()
    fix_share(cloud, 0.2, book, Reach())
    fix_share(alike, 0.2, other, Reach())
    assert len(book.values) <= 16
    assert max(map(abs, book.values)) > max(map(abs, other.values))
    planned = set(book.values)
    fix_share(cloud, 1.0, book, Reach())
    assert planned <= set(book.values)
    assert len(book.values) <= 16
    assert set(cloud.means.double().tolist()) <= set(book.values)


def test_entropy_is_shannons():
    assert shannon_entropy(torch.tensor([1, 1, 2, 0])) == pytest.approx(1.5)
    assert shannon_entropy(torch.tensor([7])) == 0


def test_a_layer_alone_is_coded_when_it_is_first_asked_and_put_back_as_it_was():
    quantizer = FixedWeightCodes(4, reach=Reach())
    weight = gaussian(600).view(6, 100)
    quantizer.fit(weight)
    assert "codes" not in quantizer._buffers
    values = quantizer(weight)
    levels = quantizer.levels()
    assert levels.shape == (6, len(values.unique()))
    assert quantizer.code_bits == math.ceil(math.log2(levels.shape[1])) <= 4
    assert quantizer.side_bits() == VALUE_BITS * levels.shape[1]
    other = FixedWeightCodes(4, reach=Reach())
    other.fit(torch.zeros_like(weight))
    other.restore(quantizer.stored())
    assert torch.equal(other(weight), values)
    assert other.flipped(weight) == quantizer.flipped(weight)


def test_a_layer_of_one_value_has_a_level_beside_it():
    quantizer = FixedWeightCodes(4, reach=Reach())
    quantizer.fit(torch.zeros(2, 3))
    assert not quantizer(torch.zeros(2, 3)).any()
    assert quantizer.levels().tolist() == [[0.0, 2.0**-7]] * 2
    assert quantizer.code_bits == 1


def test_the_codebook_is_counted_with_the_layer_that_keeps_it():
    book = torch.tensor([-0.5, 0.0, 0.25], dtype=torch.double)
    sides = []
    for keeps in (True, False):
        quantizer = FixedWeightCodes(2, reach=Reach())
        quantizer.settle(torch.tensor([[0.25, 0.0]]), book, keeps_book=keeps)
        assert quantizer.codes.tolist() == [[2, 1]]
        sides.append(quantizer.side_bits())
    assert sides == [3 * VALUE_BITS, READER_BITS]
