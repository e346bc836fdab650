"""What is drawn of networks that learn as a whole, held against the weights that it is drawn of."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.quantization import discover_methods
from engine.quantization.distillation.method import Distilled
from engine.quantization.grids.weights.binary import FELT, slope
from engine.quantization.grids.weights.nested import NestedWeightCodes
from engine.quantization.grids.weights.split import SplitWeightCodes
from engine.quantization.methods.cfws import _taps
from engine.quantization.methods.dir_net import DirNet
from engine.quantization.methods.gradient_l1 import GradientL1
from engine.quantization.methods.vertical import STORED_BITS, _planes
from tests.contracts.nets import budget, quantizing

METHODS = discover_methods()
DISTILLED = sorted(name for name, method in METHODS.items() if issubclass(method, Distilled))


def machine_of(cls, weight_bits=2, **chosen):
    settings = budget(cls.Settings, **{"steps": 6, "batch": 8, **chosen})
    return quantizing(weight_bits=weight_bits, activation_bits=8).distiller(cls(settings))


def test_each_plane_is_drawn_with_the_error_that_a_reader_of_so_many_bits_has():
    weight = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    layer = SimpleNamespace(weight_quantizer=NestedWeightCodes(4, precisions=[2, 4, 8]))
    layer.weight_quantizer.fit(weight)
    layer.float_weight = weight
    views = _planes("a", layer)
    assert [view.values["turn"] for view in views] == [1, 2, 3, 4, 5, 6, 7, 8]
    for view in views:
        bits = int(view.values["turn"])
        layer.weight_quantizer.read(bits)
        there = layer.weight_quantizer(weight)
        error = (weight[0] - there[0]).square().mean()
        assert view.values["planes"] == bits
        assert view.values["mse"] == pytest.approx(float(error), rel=1e-5)
        drawn = torch.as_tensor(view.arrays["levels"])
        if bits <= 5:  # all are drawn: more are thinned
            known = layer.weight_quantizer.levels()[0]
            assert torch.allclose(drawn, known, rtol=1e-6, atol=0)
            step = float(drawn[1] - drawn[0])
            assert float(view.arrays["basis"]) == pytest.approx(step * 2 ** (bits - 1), rel=1e-5)
    assert bits == STORED_BITS


@pytest.mark.parametrize(("height", "width"), [(3, 3), (5, 7), (1, 5)])
def test_taps_are_the_middle_of_each_kernel_and_all_around_it(height, width):
    kernels = torch.randn(4, 3, height, width, generator=torch.Generator().manual_seed(0))
    middle = height // 2, width // 2
    kernels[:, :, middle[0], middle[1]] *= 5
    layer = SimpleNamespace(weight_quantizer=SplitWeightCodes(4), float_weight=kernels)
    layer.weight_quantizer.fit(kernels)
    left = layer.weight_quantizer.parts(kernels)[0].values.view(kernels.shape).numpy()
    views = _taps("a", layer)
    assert [view.values["split"] for view in views] == [0.0, 1.0]
    for view, taps in zip(views, (kernels.numpy(), left), strict=True):
        centre = taps[:, :, middle[0], middle[1]].flatten()
        around = [(i, j) for i in range(height) for j in range(width) if (i, j) != middle]
        outer = np.array([k[at] for k in taps.reshape(-1, height, width) for at in around])
        places, reach = view.arrays["places"].numpy(), np.abs(taps).max()
        assert np.allclose(places, -places[::-1], atol=1e-6)
        edges = np.linspace(-reach, reach, len(places) + 1)
        assert np.allclose(places, (edges[1:] + edges[:-1]) / 2, atol=1e-6)
        for name, values in (("centre", centre), ("outer", outer)):
            shares = view.arrays[name].numpy()
            assert shares.sum() == pytest.approx(1)
            assert (shares * places).sum() == pytest.approx(
                values.mean(), abs=float(edges[1] - edges[0])
            )
            assert view.values[f"{name}_std"] == pytest.approx(values.std(), rel=1e-4)
        assert view.values["ratio"] == pytest.approx(centre.std() / outer.std(), rel=1e-4)
    assert (
        _taps("a", SimpleNamespace(weight_quantizer=None, float_weight=kernels[..., :1, :1])) == []
    )


def entropy_of(row):
    """Bits that the sign of one of these numbers says."""
    p = sum(value >= 0 for value in row) / len(row)
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q)


def test_the_signs_view_is_the_mean_over_layers_of_what_a_weight_feels():
    machine = machine_of(DirNet, weight_bits=1)
    for _ in range(6):
        machine.step()
    layers = list(machine._learner.binary.values())
    (view,) = machine.views()
    x = view.arrays["place"]
    assert torch.allclose(x, -x.flip(0), atol=1e-6)
    sharp = [layer.weight_quantizer.sharpness for layer in layers]
    wanted = sum(slope(x, one) for one in sharp) / len(layers)
    assert torch.allclose(view.arrays["slope"], wanted, atol=1e-6)
    spreads = [one.weight_quantizer.spread(one.float_weight.detach()).flatten() for one in layers]
    felt = [
        float((slope(s, t) >= FELT).sum()) / len(s) for s, t in zip(spreads, sharp, strict=True)
    ]
    assert view.values["felt"] == pytest.approx(sum(felt) / len(felt))
    weights = [layer.float_weight.detach().flatten(1) for layer in layers]
    by_channel = [one.weight_quantizer.spread(w) for one, w in zip(layers, weights, strict=True)]
    for name, rows in (("entropy", by_channel), ("plain", weights)):
        bits = [np.mean([entropy_of(row) for row in layer.tolist()]) for layer in rows]
        assert view.values[name] == pytest.approx(np.mean(bits), rel=1e-5)
    centres, shares = view.arrays["centres"], view.arrays["shares"]
    assert torch.allclose(centres, -centres.flip(0), atol=1e-6)
    every = torch.cat(spreads)
    half = float(centres[1] - centres[0]) / 2
    for centre, share in zip(centres.tolist(), shares.tolist(), strict=True):
        within = (every >= centre - half) & (every < centre + half)
        assert share == pytest.approx(float(within.float().mean()), abs=2 / len(every))


def test_the_penalty_is_the_slope_of_the_cross_entropy_to_the_class_that_the_teacher_names():
    machine = machine_of(GradientL1, weight_bits=4, gradient_weight=0.5)
    learner, x = machine._learner, machine._images
    wanted = machine._teacher(x)
    got = float(learner.penalties(x, wanted, 0.0)["gradient"].detach())
    named = torch.tensor([max(range(3), key=lambda c, row=row: row[c]) for row in wanted.tolist()])
    loss = functional.nll_loss(functional.log_softmax(learner.student(x), 1), named)
    weights = [layer.float_weight for layer in learner.layers.values()]
    norm = sum(float(slope.abs().sum()) for slope in torch.autograd.grad(loss, weights))
    assert got == pytest.approx(0.5 * norm, rel=1e-4)
    assert learner._norms == [pytest.approx(norm, rel=1e-4)]


@pytest.mark.parametrize(("taken", "drawn"), [(1, 1), (127, 127), (300, 150), (1280, 128)])
def test_the_course_of_the_slope_is_thinned_and_each_point_stands_at_its_step(taken, drawn):
    learner = machine_of(GradientL1)._learner
    learner._norms = [float(step) for step in range(1, taken + 1)]
    (view,) = learner.views()
    assert view.arrays["step"].tolist() == view.arrays["norm"].tolist()
    assert len(view.arrays["step"]) == drawn
    assert view.values["norm"] == view.arrays["norm"][-1]


@pytest.mark.parametrize("name", DISTILLED)
def test_what_has_been_learned_asks_for_no_gradient_any_more(name):
    machine = machine_of(METHODS[name])
    machine.step()
    kept = machine.learned()
    assert not any(value.requires_grad for value in kept.values())
    learner = machine._learner
    assert not any(layer.float_weight.requires_grad for layer in learner.layers.values())
    assert not learner.student(machine._images).requires_grad
