"""Other numbers of images, the same ones again, and what a pass leaves behind."""

import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.models.cards.from_python_file import own_card
from engine.models.probing.probe import probe
from engine.synthesis.statistics.batchnorm import StoredStatistics
from tests.models.probing.odd_networks import SHAPE, variant


def _pairs(self, x):
    return self.fc(self.embed(x.view(-1, 2, *SHAPE).flatten(0, 1)))


def _two(self, x):
    return self.fc(self.embed(x.view(2, *SHAPE)))


def _by_chance(self, x):
    y = self.f[1](self.f[0](x))
    return self.fc((self.f[2](y) if torch.rand(1) < 0.5 else y).mean((2, 3)))


def _no_more_gradients(self, x):
    torch.set_grad_enabled(False)
    return self.fc(self.embed(x))


def _doubles(self, x):
    y = self.fc(self.embed(x))
    torch.set_default_dtype(torch.float64)
    return y


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (_pairs, "runs on two images and not on one: "),
        (_two, "runs on two images and not on one: "),
        (_by_chance, "runs layer 'f.2.0' in some passes and not in others"),
        (_no_more_gradients, "leaves gradients switched off"),
        (_doubles, "torch.set_default_dtype out of its forward"),
    ],
)
def test_is_refused_in_one_line(forward, words):
    with pytest.raises(UserError) as refused:
        probe(variant(forward).requires_grad_(False), SHAPE, "mine")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32


def test_an_answer_that_depends_on_the_other_images_is_said():
    def forward(self, x):
        y = self.embed(x)
        return self.fc(y - y.mean(0))

    notes = probe(variant(forward).requires_grad_(False), SHAPE, "mine").notes
    assert any("depends on the images that pass with it" in note for note in notes)
    plain = probe(
        variant(lambda self, x: self.fc(self.embed(x))).requires_grad_(False), SHAPE, "mine"
    )
    assert not plain.notes


def test_a_file_that_switches_the_type_of_tensors_switches_its_own_alone(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\ntorch.set_default_dtype(torch.float64)\n"
        "def make(): return nn.Linear(2, 2)\n"
    )
    card = own_card(f"{file}:make", {"image_shape": SHAPE})
    assert card.build().weight.dtype == torch.float32
    assert torch.get_default_dtype() == torch.float32


def test_a_batchnorm_that_does_not_run_again_is_named():
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.passes = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), 0

        def forward(self, x):
            self.passes += 1
            return self.norm(self.conv(x)) if self.passes == 1 else self.conv(x)

    model = Once().eval()
    stored = StoredStatistics(model, (3, 4, 4))
    with pytest.raises(UserError, match="BatchNorm layer 'norm' does not run for these images"):
        stored.observe(model, torch.zeros(2, 3, 4, 4))
