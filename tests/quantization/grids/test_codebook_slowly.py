"""One codebook for a network, round behind round, against a slow second reading."""

import math

import pytest
import torch

from engine.quantization.grids.weights.codebook.fixed_weight import FixedWeightCodes
from engine.quantization.grids.weights.codebook.fixing import Codebook, Reach, fix_share
from engine.quantization.grids.weights.codebook.powers import prior_sigma, signed_sums
from tests.quantization.grids.test_codebook import cloud_of, gaussian, slow_round


@pytest.mark.parametrize("largest", [0.0, 0.05, 0.25, 0.3, 0.6, 0.95, 1.0, 3.0])
@pytest.mark.parametrize("finest", [2, 4])
def test_powers_go_from_the_finest_to_the_first_that_is_not_below_the_largest(finest, largest):
    powers = [2.0**-finest]
    while powers[-1] < largest:
        powers.append(2 * powers[-1])
    signed = [0.0, *powers, *(-one for one in powers)]
    wanted = sorted({a + b for a in signed for b in signed if abs(a + b) <= largest})
    assert signed_sums(2, finest, largest).tolist() == wanted


def slow_sigma(weights):
    away = []
    for size in map(abs, weights):
        below = 2.0 ** math.floor(math.log2(size)) if size else 0.0
        away.append((size - below) / size * (2 * below - size) / size if size else 0.0)
    usual = sorted(away)[round(0.75 * (len(away) - 1))]
    return [min(max(0.0025 * one / usual, 2.0**-30), 0.05) for one in away]


@pytest.mark.parametrize("count", [2, 7, 40, 41])
@pytest.mark.parametrize("power", [1, 9])
def test_spreads_are_those_of_a_slow_second_implementation(count, power):
    weight = gaussian(count, seed=1, std=1.0).double() ** power
    weight[count // 2] = 0
    assert prior_sigma(weight).tolist() == pytest.approx(slow_sigma(weight.tolist()))


def test_no_weight_may_move_far_where_most_of_its_layer_lie_at_powers_of_two():
    weight = torch.tensor([0.5 + 1e-4] * 30 + [0.75, 0.0]).double()
    found = prior_sigma(weight)
    assert found.tolist() == pytest.approx(slow_sigma(weight.tolist()))
    assert float(found[-2]) == 0.05


@pytest.mark.parametrize("std", [0.05, 0.6])
@pytest.mark.parametrize("delta", [0.25, 2.0])
def test_rounds_fix_what_a_slow_second_implementation_fixes(std, delta):
    """Sums of more powers and twice the distance come in turns; what was fixed before has its say."""
    cloud, book = cloud_of(gaussian(90, seed=5, std=std).double()), Codebook()
    reach = Reach(delta=delta, finest=5 if std > 0.1 else 7)
    held, before = {}, 0
    for share in (0.3, 0.7, 1.0):
        free = (~cloud.fixed).nonzero()[:, 0]
        cloud.means[free] += 0.03 * std * gaussian(len(free), seed=6, std=1.0)  # as training does
        means, sigmas = (part[free].tolist() for part in (cloud.means, cloud.sigmas))
        quota = round(share * 90)
        fix_share(cloud, share, book, reach)
        wanted = slow_round(means, sigmas, quota - before, reach, held)
        found = {k: float(cloud.means[at]) for k, at in enumerate(free.tolist()) if cloud.fixed[at]}
        assert found == wanted
        assert int(cloud.fixed.sum()) == quota
        held, before = (
            {value: int((cloud.means[cloud.fixed] == value).sum()) for value in book.values},
            quota,
        )


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_of_a_short_codebook_each_weight_takes_its_nearest_value_the_nearest_in_spreads_first(
    share,
):
    weight = gaussian(400, seed=2).double()
    cloud, book = cloud_of(weight, bits=2), Codebook()
    sigmas = cloud.sigmas.tolist()
    fix_share(cloud, share, book, Reach())
    nearest = [min(book.of(2).tolist(), key=lambda v, w=w: abs(v - w)) for w in weight.tolist()]
    apart = [
        abs(w - v) / max(s, 2.0**-20)
        for w, v, s in zip(weight.tolist(), nearest, sigmas, strict=True)
    ]
    first = sorted(range(400), key=lambda k: apart[k])[: round(share * 400)]
    assert sorted(first) == cloud.fixed.nonzero()[:, 0].tolist()
    assert [nearest[k] for k in sorted(first)] == cloud.means[cloud.fixed].tolist()
    for value in set(nearest):  # the spread behind a value is that of what it took
        took = [k for k in first if nearest[k] == value]
        spread = float(weight[took].std(correction=0)) if took else 0.0
        assert cloud.sigmas[took].tolist() == pytest.approx([spread] * len(took))


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("delta", [0.25, 1.0])
def test_a_short_codebook_is_planned_from_the_distance_or_twice_as_far_whichever_errs_least(
    bits, delta
):
    weight, reach = gaussian(80, seed=4, std=0.3).double(), Reach(delta=delta, finest=4)
    cloud, book = cloud_of(weight, bits=bits), Codebook()
    cloud.counts = torch.linspace(0.1, 3, 80).double()
    plans = []
    for doubled in range(10):
        held = {}
        trial = Reach(delta=delta * 2**doubled, finest=4)
        full = (
            len(slow_round(weight.tolist(), cloud.sigmas.tolist(), 80, trial, held, 2**bits)) < 80
        )
        away = (weight[:, None] - torch.tensor(sorted(held)).double()).abs().amin(1)
        plans.append((float((cloud.counts * away.square()).sum()), sorted(held)))
        if not full:
            break
    fix_share(cloud, 0.01, book, reach)
    assert len(plans) > 1
    assert sorted(book.values) == min(plans)[1]


def test_while_it_is_learned_a_value_is_the_weight_and_its_spread_times_the_noise():
    weight = gaussian(12).view(3, 4)
    quantizer = FixedWeightCodes(3, reach=Reach())
    quantizer.fit(weight)
    quantizer.learn(torch.full((3, 4), 0.5))
    assert torch.equal(quantizer(weight), weight)
    quantizer.noise = torch.arange(12.0).view(3, 4)
    assert torch.equal(quantizer(weight), weight + 0.5 * quantizer.noise)
    alone = FixedWeightCodes(3, reach=Reach())
    alone.fit(weight)
    quantizer.restore(alone.stored())
    assert torch.equal(quantizer(weight), alone(weight)), "what is put back does not learn any more"


def test_a_layer_of_few_values_has_no_longer_codes_than_it_needs():
    quantizer = FixedWeightCodes(8, reach=Reach())
    for count, bits in ((2, 1), (3, 2), (4, 2), (5, 3)):
        book = torch.arange(count, dtype=torch.double)
        quantizer.settle(book.float().view(1, -1), book, keeps_book=True)
        assert quantizer.code_bits == bits
        assert quantizer.book.shape == (2**8,), "with room for all that its bits could have"
        assert quantizer.levels().tolist() == [book.tolist()]
        assert quantizer.codes.tolist() == [list(range(count))]
        assert quantizer.count() == count
        quantizer.codes[0, 0] = 1
        assert quantizer.flipped(book.float().view(1, -1)) == pytest.approx(1 / count)


@pytest.mark.parametrize(("away", "is_first"), [(0.9, True), (1.1, False)])
def test_a_spread_counts_as_a_millionth_at_least_where_distances_are_told(away, is_first):
    """2^−20: what is that near to a value takes it before what is farther than its own, large spread."""
    weight = torch.tensor([0.5 + away * 2.0**-20, 0.25 + 0.011], dtype=torch.double)
    cloud = cloud_of(weight)
    cloud.sigmas = torch.tensor([2.0**-30, 0.01], dtype=torch.double)
    fix_share(cloud, 0.5, Codebook(), Reach())
    assert cloud.fixed.tolist() == [is_first, not is_first]


def test_a_round_that_has_nothing_to_fix_plans_nothing():
    cloud, book = cloud_of(gaussian(200), bits=2), Codebook()
    fix_share(cloud, 0.0, book, Reach())
    assert book.values == []
    fix_share(cloud, 0.5, book, Reach())
    before = list(book.values)
    fix_share(cloud, 0.4, book, Reach())
    assert book.values == before
    assert int(cloud.fixed.sum()) == 100


def test_below_the_smallest_power_a_weight_is_0_at_no_distance_and_so_before_others():
    weight = torch.tensor([1.2 * 2.0**-7, 0.9 * 2.0**-7], dtype=torch.double)
    cloud = cloud_of(weight)
    cloud.sigmas = torch.tensor([2.4 * 2.0**-7, 2.0**-20], dtype=torch.double)  # half a σ, and many
    fix_share(cloud, 0.5, Codebook(), Reach())
    assert cloud.fixed.tolist() == [False, True]
    assert float(cloud.means[1]) == 0
