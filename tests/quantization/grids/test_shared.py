"""Shared weights: what is pruned, means of what shares a value, chance without bias, learned values."""

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.weights.codebook.shared import (
    SHARINGS,
    SharedWeightCodes,
    by_chance,
    k_means,
    quantiles,
)
from engine.quantization.methods.sharing import Sharing
from tests.contracts.nets import budget, quantizing


def weights(*shape, seed=0):
    return torch.randn(*shape, generator=stream(seed, "shared"))


def fitted(weight, bits=3, **chosen):
    codes = SharedWeightCodes(bits, **chosen)
    codes.fit(weight)
    return codes


class TestTables:
    def test_a_centroid_is_the_mean_of_the_values_nearest_to_it_and_they_err_less_than_even_steps(
        self,
    ):
        values = weights(4000)
        table = k_means(values, 8)
        near = (values[:, None] - table).abs().argmin(1)
        means = torch.stack([values[near == k].mean() for k in range(8)])
        assert torch.allclose(table, means, atol=1e-3)
        even = torch.linspace(float(values.min()), float(values.max()), 8)
        error, before = (
            (values[:, None] - at).abs().amin(1).square().mean() for at in (table, even)
        )
        assert error < 0.7 * before

    def test_between_two_quantiles_lie_as_many_values_as_between_any_others(self):
        values = weights(4001)
        table = quantiles(values, 9)
        between = torch.histogram(values, table).hist
        assert between.tolist() == pytest.approx([500] * 8, abs=1)

    def test_chance_meets_each_value_on_average_and_only_its_neighbours(self):
        table = torch.tensor([-1.0, 0.5, 2.0])
        values = torch.full((40_000,), 0.8)
        found = table[by_chance(values, table, stream(3, "chance"))]
        assert set(found.tolist()) == {0.5, 2.0}
        assert float(found.mean()) == pytest.approx(0.8, abs=0.02)
        ends = torch.tensor([-1.0, 2.0])
        assert torch.equal(table[by_chance(ends, table, stream(4, "chance"))], ends)
        beyond = torch.tensor([-9.0, 9.0])
        assert torch.equal(table[by_chance(beyond, table, stream(5, "chance"))], ends)


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("share", [0.0, 0.35, 0.9])
class TestPruning:
    def test_just_that_share_becomes_0_and_it_is_the_smallest(self, sharing, share):
        weight = weights(16, 250)
        codes = fitted(weight, sharing=sharing, prune=share)
        zero = codes(weight) == 0
        assert float(zero.float().mean()) == pytest.approx(share, abs=0.001)
        if share:
            assert weight[zero].abs().max() <= weight[~zero].abs().min()

    def test_there_are_no_more_values_than_codes_and_they_rise(self, sharing, share):
        codes = fitted(weights(16, 250), bits=2, sharing=sharing, prune=share)
        assert len(codes.table) <= 4
        assert bool((codes.table.diff() >= 0).all())
        assert codes.side_bits() == 32 * len(codes.table)


def test_layers_of_eight_bits_are_not_pruned():
    assert not bool(fitted(weights(4, 9), bits=8, prune=0.9).pruned.any())


class TestLearning:
    def test_the_slope_of_a_value_is_the_sum_over_the_weights_that_share_it(self):
        weight, slope = weights(6, 20), weights(6, 20, seed=1)
        codes = fitted(weight, bits=2)
        table = codes.learn()
        (codes(weight) * slope).sum().backward()
        naive = torch.stack([slope[codes.codes == k].sum() for k in range(4)])
        assert torch.allclose(table.grad, naive, atol=1e-5)

    def test_a_pruned_weight_stays_0_and_the_table_is_in_order_again_at_the_end(self):
        weight = weights(6, 20)
        codes = fitted(weight, bits=2, prune=0.5)
        before = codes.codes.clone()
        table = codes.learn()
        with torch.no_grad():
            table.copy_(torch.tensor([3.0, 7.0, -2.0, 1.0]))
        moving = codes(weight)
        codes.settle()
        assert torch.equal(codes(weight), moving)
        assert torch.equal(moving == 0, codes.pruned[codes.codes.long()])
        assert float((moving == 0).float().mean()) == 0.5
        assert bool((codes.table.diff() > 0).all())
        assert not torch.equal(codes.codes, before)

    def test_values_that_learn_bring_the_answers_nearer_to_the_teachers(self):
        chosen = budget(Sharing.Settings, steps=40, batch=8, feature_weight=0.0)
        machine = quantizing(weight_bits=2, activation_bits=8).distiller(Sharing(chosen))
        losses = [float(sum(machine.step().values())) for _ in range(40)]
        assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
