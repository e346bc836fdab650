"""Networks whose forward hands its layers to a transform of torch's, or to what runs them anew."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from engine.core.errors import UserError
from engine.models.cards.from_python_file import own_card
from engine.models.graph.blocks import find_blocks, remarks
from engine.models.plain_modules import plain_tensors
from engine.models.probing.probe import probe
from engine.models.wrappers import unwrapped
from tests.models.probing.odd_networks import SHAPE, base, variant


def _vmap(self, x):
    return torch.vmap(self.fc)(self.embed(x))


def _vmap_of_batchnorm(self, x):
    y = torch.vmap(lambda one: self.f[0](one[None])[0])(x)
    return self.fc(self.f[2](self.f[1](y)).mean((2, 3)))


def _jvp(self, x):
    return self.fc(torch.func.jvp(self.embed, (x,), (torch.ones_like(x),))[0])


def _grad(self, x):
    return self.fc(self.embed(x + torch.func.grad(lambda z: self.embed(z).sum())(x)))


def _own_gradient(self, x):
    with torch.enable_grad():
        z = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.embed(z).sum(), z)
    return self.fc(self.embed(x + slope))


def _anew(self, x):
    return self.fc(checkpoint(self.f, x, use_reentrant=False).mean((2, 3)))


def _anew_by_reentering(self, x):
    return self.fc(checkpoint(self.f, x, use_reentrant=True).mean((2, 3)))


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (_vmap, "layer 'fc' inside torch.func.vmap"),
        (_vmap_of_batchnorm, "layer 'f.0.0' inside torch.func.vmap"),
        (_jvp, "inside torch.func.jvp"),
        (_grad, "inside torch.func.grad"),
        (_own_gradient, "inside a gradient of its own"),
        (_anew, "only `if self.training`"),
        (_anew_by_reentering, "only `if self.training`"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_layers_in_a_transform_are_refused_with_its_name(forward, words):
    with pytest.raises(UserError) as refused:
        probe(variant(forward).requires_grad_(False), SHAPE, "mine")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_transform_of_values_alone_runs_and_its_line_is_named():
    def forward(self, x):
        return self.fc(self.embed(torch.vmap(lambda one: one / one.abs().amax())(x)))

    model = variant(forward).requires_grad_(False)
    probe(model, SHAPE, "mine")
    (said,) = remarks(model, find_blocks(model, SHAPE))
    assert "line " in said
    assert (
        "of test_transforms.py needs the values themselves: `return self.fc(self.embed(torch.vmap"
        in said
    )
    assert "Proxy" not in said


def exported():
    return torch.export.export(base(), (torch.randn(2, *SHAPE),)).module()


def test_an_exported_network_is_told_as_such():
    card = own_card(f"{__file__}:exported", {"image_shape": SHAPE})
    with pytest.raises(UserError, match=r"exported was exported; give the nn\.Module"):
        card.load_all()


def test_a_compiled_method_is_what_it_was_made_of_again():
    class Compiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        @torch.compile(
            backend="eager"
        )  # it loads the compiler: here, not for whoever collects tests
        def forward(self, x):
            return self.fc(x)

    model, taken = unwrapped(nn.Sequential(Compiled()))
    assert taken == ("torch.compile taken off it",)
    assert not hasattr(model[0].forward, "_torchdynamo_orig_callable")
    assert isinstance(model[0], Compiled)
    assert model(torch.ones(1, 4)).shape == (1, 2)


class _NeverAtRest(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def train(self, mode=True):
        raise NotImplementedError("this one is always training")


def test_a_network_that_refuses_eval_is_told_as_such():
    with pytest.raises(UserError, match=r"mine cannot be put into eval mode: .*always training; "):
        plain_tensors(_NeverAtRest(), SHAPE, "mine")
