"""DIR-Net's learner: what moves when, and how blocks are compared."""

import pytest
import torch

from engine.quantization.grids.weights.binary import BinaryWeightCodes
from engine.quantization.methods.dir_net import DirNet
from tests.contracts.nets import budget, quantizing


def machine_of(steps=10, **chosen):
    settings = budget(DirNet.Settings, steps=steps, batch=8, **chosen)
    return quantizing(weight_bits=1, activation_bits=8).distiller(DirNet(settings))


def test_weights_of_1_bit_are_two_values_a_channel_in_every_pass():
    machine = machine_of()
    machine.step()
    learner = machine._learner
    assert len(learner.binary) == 5  # all but the first and the last layer
    for layer in learner.binary.values():
        assert all(len(channel.unique()) == 2 for channel in layer.weight.detach().flatten(1))


def test_activations_are_float_first_and_on_their_grid_later():
    machine = machine_of(float_until=0.5)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    learner, kept = machine._learner, {}
    for step in range(10):
        machine.step()
        quantizer = learner._inputs[0]
        kept[step] = torch.equal(quantizer(x), x)
    assert list(kept.values()) == [True] * 5 + [False] * 5


def test_the_gradient_sharpens_and_plain_sign_has_none_to_sharpen():
    machine, plain = machine_of(), machine_of(balance=False, estimator="straight-through")
    seen = []
    for _ in range(10):
        machine.step()
        plain.step()
        seen.append([one.weight_quantizer.sharpness for one in machine._learner.binary.values()])
    assert all(a < b for a, b in zip(seen[0], seen[-1], strict=True))
    for layer in plain._learner.binary.values():
        quantizer: BinaryWeightCodes = layer.weight_quantizer
        assert quantizer.sharpness is None
        quantizer.fit(layer.float_weight)
        assert not quantizer.border.any()


def test_maps_are_compared_by_where_they_are_strong_and_not_by_how_much():
    error = machine_of()._learner.feature_error
    one = torch.zeros(1, 2, 1, 2)
    one[0, :, 0, 0] = torch.tensor([3.0, 4.0])  # strong at the first place
    other = one.flip(3)  # and at the second
    assert float(error(5 * one, one)) == 0.0
    assert float(error(one.flip(1), one)) == 0.0, "in whichever channel"
    assert float(error(other, one)) == 2.0
    assert float(error(torch.ones(1, 3), torch.zeros(1, 3))) == 0.0, "scores have no places"


def test_tokens_have_places_as_pixels_have():
    error = machine_of()._learner.feature_error
    one, other = torch.randn(2, 4, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    tokens = [y.flatten(2).transpose(1, 2) for y in (one, other)]
    wanted = 0.0
    for a, b in zip(one, other, strict=True):
        strong = [(y**2).sum(0) for y in (a, b)]
        mine, its = (m / m.norm() for m in strong)
        wanted += float((mine - its).square().sum()) / 4
    assert float(error(one, other)) == pytest.approx(wanted, rel=1e-5)
    assert float(error(*tokens)) == pytest.approx(wanted, rel=1e-5)


def test_a_view_says_how_many_weights_can_still_turn():
    machine = machine_of(steps=20)
    machine.step()
    (early,) = machine.views()
    for _ in range(19):
        machine.step()
    (late,) = machine.views()
    assert early.form == "signs"
    assert early.values["felt"] == 1.0 > late.values["felt"]
    assert float(early.arrays["slope"].max()) == pytest.approx(1, abs=0.01)
    assert late.values["entropy"] > late.values["plain"]
    assert float(late.arrays["shares"].sum()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(("until", "placed"), [(0.25, [4, 8, 12]), (0.5, [8, 12])])
def test_ranges_are_those_of_the_student_as_it_has_become(until, placed):
    """Placed before the first step they would be of signs that nothing has been learned for."""
    machine = machine_of(steps=16, float_until=until)
    quantizers, seen = machine._learner._inputs, []
    for _ in range(16):
        machine.step()
        seen.append([float(quantizer.scale.detach()) for quantizer in quantizers])
    changed = [step for step in range(1, 16) if seen[step] != seen[step - 1]]
    assert changed == placed
