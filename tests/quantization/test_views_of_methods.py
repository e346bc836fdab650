"""What methods draw of themselves, against the tensors that it is drawn of; and which form is computed."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.gaussian_steps import GaussianInput
from engine.quantization.grids.sign_activation import SignActivation
from engine.quantization.grids.weights.binary import BinaryWeightCodes
from engine.quantization.methods.daq import _MOST_CHANNELS, _SIDE, _channels
from engine.quantization.methods.dir_net import DirNet
from engine.quantization.methods.factorization import Factorization
from engine.quantization.methods.gpfq import Gpfq
from engine.quantization.methods.lq_nets import LqNets
from engine.quantization.methods.sharing import Sharing
from engine.quantization.methods.slb import Slb
from engine.quantization.methods.std_based import _SHOWN, StdBased
from tests.contracts.nets import budget, quantized, quantizing

WIDE = torch.linspace(-1, 1, 4001)[None]


def block_of(*paths):
    return SimpleNamespace(layers=paths, name="block")


# --- which form is computed ---------------------------------------------------------------------


@pytest.mark.parametrize("form", ["nearest", "stochastic", "sparse"])
def test_gpfq_s_forms_take_the_nearest_level_one_of_two_at_random_or_one_nearer_to_0(form):
    method = Gpfq(budget(Gpfq.Settings, form=form, threshold=0.25))
    levels = torch.arange(-2.0, 3.0).expand(1, 1, -1) / 2
    picks = [
        levels[0, 0][
            method._form(stream(seed, "g"))(
                WIDE[None], levels.expand(1, 1, 4001, -1).contiguous()
            ).long()
        ]
        for seed in (0, 1)
    ]
    error = (picks[0] - WIDE).abs()
    assert torch.equal(*picks) is (form != "stochastic")
    if form == "nearest":
        assert error.max() <= 0.25
    elif form == "stochastic":
        assert 0.25 < float(error.max()) <= 0.5
        assert float((picks[0] - WIDE).mean()) == pytest.approx(0, abs=0.02)
    else:  # 0 as far as half a step and a quarter
        zero = picks[0][0].abs() == 0
        assert torch.equal(zero[0], (WIDE[0].abs() <= 0.375))


def test_signs_are_taken_of_inputs_of_1_bit_alone():
    makers = DirNet(budget(DirNet.Settings)).makers()
    kinds = {bits: type(makers.activations(bits)) for bits in (1, 2, 8)}
    assert kinds[1] is SignActivation
    assert SignActivation not in (kinds[2], kinds[8])
    weights = {bits: type(makers.weights(bits)) for bits in (1, 2)}
    assert weights[1] is BinaryWeightCodes
    assert weights[2] is not BinaryWeightCodes


@pytest.mark.parametrize("prune_by", ["interval", "size"])
def test_what_prunes_is_what_was_asked_for(prune_by):
    """By size the smallest weights are 0, in one quarter; by the interval what is nearest to 0 on it."""
    method = StdBased(budget(StdBased.Settings, prune_by=prune_by, pruned=0.25, alpha=0.0))
    weight = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
    quantizer = method.makers().weights(3)
    quantizer.fit(weight)
    order = weight.flatten().abs().argsort()
    zero = (quantizer(weight).flatten() == 0)[order]
    assert quantizer.interval_of.by_size is (prune_by == "size")
    assert bool(zero[:100].all())
    assert float(zero.float().mean()) == pytest.approx(0.25, abs=0.05)


# --- SLB: how sure weights are of their level ---------------------------------------------------


def test_confidence_is_counted_over_all_weights_of_the_block_at_the_step_s_temperature():
    method = Slb(budget(Slb.Settings, steps=4, batch=4, hottest=50.0, rise_from=0.0, rise_to=1.0))
    opened = list(zip(range(2), quantizing().machines(method), strict=False))[-1][1]
    machine = getattr(opened.machine, "_machine", opened.machine)
    for _ in range(3):
        machine.step()
    (view,) = machine.views()
    sure = torch.cat([q.soft_rounding().detach().flatten() for q in machine._searched]).numpy()
    centres, shares = view.arrays["centres"].numpy(), view.arrays["shares"].numpy()
    edges = np.linspace(0, 1, len(centres) + 1)
    assert centres == pytest.approx((edges[1:] + edges[:-1]) / 2, rel=1e-5)
    wanted = np.histogram(sure, edges)[0] / len(sure)
    assert shares == pytest.approx(wanted, abs=2 / len(sure))
    assert view.values["decided"] == pytest.approx((sure >= 0.99).mean())
    assert view.values["temperature"] == pytest.approx(50 ** (2 / 4))  # of the third step
    assert view.what == opened.block.name


# --- DAQ: deviations of an image's channels -----------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 5, 20, 31), (1, 5, 6, 9), (1, _MOST_CHANNELS + 4, 5, 5)])
def test_deviations_fall_by_rank_and_the_widest_channel_is_drawn_from_its_middle(shape):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=rng) * torch.rand(shape[1], 1, 1, generator=rng) * 3 + 1
    quantizer = GaussianInput(3)
    quantizer.fit(x)
    view = _channels("a", quantizer, x)
    rows = x[0].flatten(1).numpy()
    sigma, order = rows.std(1), np.argsort(-rows.std(1))[:_MOST_CHANNELS]
    given = quantizer(x)[0]
    error = np.sqrt(((given.flatten(1).numpy() - rows) ** 2).mean(1))
    assert view.arrays["rank"].tolist() == [*range(len(order))]
    assert view.arrays["sigma"].numpy() == pytest.approx(sigma[order], rel=1e-5)
    assert view.arrays["error"].numpy() == pytest.approx(error[order], rel=1e-4)
    widest = int(sigma.argmax())
    assert view.values["channel"] == widest
    assert view.values["spread"] == pytest.approx(
        sigma.max() / np.sort(sigma)[(len(sigma) - 1) // 2], rel=1e-4
    )
    assert view.values["noise"] == pytest.approx((error**2).mean() / (sigma**2).mean(), rel=1e-4)
    high, wide = (min(side, _SIDE) for side in shape[2:])
    top, left = ((side - min(side, _SIDE)) // 2 for side in shape[2:])
    there = x[0, widest, top : top + high, left : left + wide]
    coarse = given[widest, top : top + high, left : left + wide]
    for name, values in (("float", there), ("quantized", coarse), ("difference", coarse - there)):
        assert torch.equal(view.arrays[name], values.flatten())
    for k in range(high * wide):
        at = int(view.arrays["row"][k]), int(view.arrays["column"][k])
        assert float(there[at]) == float(view.arrays["float"][k])


# --- levels of one channel ----------------------------------------------------------------------


def mse(values, levels):
    return float((values[:, None] - levels).square().amin(1).mean())


@pytest.mark.parametrize("by_channel", [True, False])
@pytest.mark.parametrize("levels", ["uniform", "log"])
def test_each_interval_is_drawn_with_what_it_prunes_and_loses(by_channel, levels):
    settings = budget(StdBased.Settings, levels=levels, by_channel=by_channel, alpha=1.5)
    work = quantizing(weight_bits=3)
    for _ in work.machines(StdBased(settings)):
        pass
    layer = work.student.get_submodule("same.conv1")
    views = StdBased(settings).views(work.student, block_of("same.conv1"))
    weight = layer.float_weight.detach().flatten(1)
    sigma = float(weight[0].std(correction=0) if by_channel else weight.std(correction=0))
    alphas = [*_SHOWN, layer.weight_quantizer.interval_of.alpha]
    assert [view.values["alpha"] for view in views] == pytest.approx(alphas)
    for alpha, view in zip(alphas, views, strict=True):
        drawn = torch.as_tensor(view.arrays["levels"])
        assert float(drawn.max()) == pytest.approx(alpha * sigma, rel=1e-2)
        assert view.values["mse"] == pytest.approx(mse(weight[0], drawn), rel=1e-4)
        nearest = (weight[0][:, None] - drawn).abs().argmin(1)
        pruned = float((drawn[nearest] == 0).float().mean())
        assert view.values["pruned"] == pytest.approx(pruned)
    assert views[-1].values["alpha"] == 1.5


def test_turns_of_a_basis_are_drawn_at_powers_of_two_and_the_last():
    work = quantized(LqNets, weight_bits=2)
    (layer,) = [work.student.get_submodule("same.conv1")]
    views = LqNets(budget(LqNets.Settings)).views(work.student, block_of("same.conv1"))
    quantizer = layer.weight_quantizer
    last = len(quantizer.course) - 1
    turns = [int(view.values["turn"]) for view in views]
    assert turns == sorted({0, last} | {t for t in (1, 2, 4, 8, 16, 32, 64, 128) if t < last})
    weight = layer.float_weight[quantizer.shown].detach().flatten()
    for turn, view in zip(turns, views, strict=True):
        basis = quantizer.course[turn]
        signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * len(basis))
        levels = (signs * basis).sum(1).sort().values
        assert torch.allclose(torch.as_tensor(view.arrays["levels"]), levels, atol=1e-6)
        assert view.values["mse"] == pytest.approx(mse(weight, levels), rel=1e-4)


def test_shared_values_are_drawn_with_the_share_of_weights_that_are_pruned():
    work = quantized(Sharing, weight_bits=3, steps=1)
    settings = budget(Sharing.Settings)
    (view,) = Sharing(settings).views(work.student, block_of("same.conv1"))
    layer = work.student.get_submodule("same.conv1")
    quantizer = layer.weight_quantizer
    weight = layer.float_weight.detach().flatten(1)[0]
    drawn = torch.as_tensor(view.arrays["levels"])
    assert torch.equal(drawn, quantizer.table.detach())
    zero = (quantizer(layer.float_weight) == 0).float().mean()
    assert view.values["pruned"] == pytest.approx(float(zero))
    assert view.values["mse"] == pytest.approx(mse(weight, drawn), rel=1e-4)


def test_sweeps_of_a_factorization_are_drawn_from_the_first_to_the_least_error():
    settings = budget(Factorization.Settings)
    work = quantizing(weight_bits=4)
    for _ in work.machines(Factorization(settings)):
        pass
    views = Factorization(settings).views(work.student, block_of("same.conv1", "down.shortcut.0"))
    assert views
    for view in views:
        quantizer = work.student.get_submodule(view.what).weight_quantizer
        course = view.arrays["relative_error"]
        assert course.tolist() == pytest.approx(quantizer.course)
        assert view.arrays["sweep"].tolist() == [*range(len(course))]
        assert view.values["start"] == pytest.approx(quantizer.course[0])
        assert view.values["end"] == pytest.approx(min(quantizer.course))


def test_factors_are_found_as_codes_unless_the_control_is_asked_for():
    """The control rounds factors found in floats: its course has no sweep over codes."""
    kernel = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    swept = {}
    for aware in (True, False):
        makers = Factorization(budget(Factorization.Settings, aware=aware)).makers()
        quantizer = makers.weights(4)
        quantizer.fit(kernel)
        quantizer(kernel)
        swept[aware] = len(quantizer.course) - 1
    assert swept[True] > 0 == swept[False]
