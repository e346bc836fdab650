"""FDDA's two batches of a step: what the loss of each name is the sum of."""

import pytest
import torch

from engine.synthesis.methods.fdda import Fdda
from tests.contracts.nets import TinyResNet, images, ready, request


def machine_of(**settings):
    teacher, real = ready(TinyResNet()), images(8)
    chosen = {"steps": 4, "width": 16, "latent": 8, "recognised": False} | settings
    facts = {"real": real, "real_labels": torch.arange(8) % 3}
    return Fdda(request(Fdda.Settings, teacher, **chosen, **facts))


@torch.no_grad()
def test_the_loss_of_a_name_is_that_of_the_mixed_batch_and_that_of_one_class_added():
    machine = machine_of(class_weight=2.0, central_weight=0.5, blurred_weight=0.0)
    both = machine.look(), machine._look_at_one()
    machine.look, machine._look_at_one = (lambda scene=scene: scene for scene in both)
    handed = {}
    machine.update = lambda scene, losses: handed.update(losses)
    machine.step()
    mixed, one = both
    cross = [float(machine.parts.losses["class"][1](scene)) for scene in both]
    assert set(handed) == {"class", "batchnorm", "central"}
    assert float(handed["class"]) == pytest.approx(2 * (cross[0] + cross[1]), rel=1e-5)
    stored = machine.parts.losses["batchnorm"]
    assert float(handed["batchnorm"]) == pytest.approx(float(stored[0] * stored[1](mixed)))
    central = machine._of_one["central"][1]
    assert float(handed["central"]) == pytest.approx(0.5 * float(central(one)), rel=1e-5)


@pytest.mark.parametrize("noise", ["absolute", "relative"])
def test_noise_on_centres_is_in_the_units_asked_for_and_the_central_term_has_none(noise):
    machine = machine_of(noise=noise, noise_mean=0.5, noise_variance=0.25, layers="all")
    blur = machine._of_one["blurred"][1].blur
    assert (blur.relative, blur.mean, blur.variance) == (noise == "relative", 0.5, 0.25)
    assert machine._of_one["central"][1].blur is None
    depth = len(machine.request.stored.moments)
    for name in ("central", "blurred"):
        assert list(machine._of_one[name][1].layers) == [*range(depth)]


def test_terms_of_weight_0_are_left_out_of_the_batch_of_one_class():
    assert set(machine_of(class_weight=0.0, central_weight=0.5)._of_one) == {"central", "blurred"}
    none = machine_of(central_weight=0.0, blurred_weight=0.0)
    assert set(none._of_one) == {"class"}
    assert not none.adds_losses()
    assert machine_of(central_weight=0.0, blurred_weight=0.1).adds_losses()
