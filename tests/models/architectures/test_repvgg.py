"""RepVGG, small: the fused form is the same function with one convolution a block and no BatchNorm."""

import itertools

import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.models.architectures.repvgg import RepVGGBlock, SmallRepVGG, fuse, fuse_block
from engine.models.card import catalog_entry
from engine.models.cards.sources import discover_cards
from engine.models.graph.blocks import find_blocks
from engine.models.zoo import find_card
from engine.run.recipes.recipe import refusal
from tests.contracts.nets import ready


@pytest.fixture(scope="module")
def model():
    return ready(SmallRepVGG(in_channels=1, classes=10))


def images(n, *shape):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(1))


def test_shapes_and_size(model):
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) < 500_000


@pytest.mark.parametrize(
    ("out_channels", "stride"),
    [(4, 1), (4, 2), (6, 1)],
    ids=["with identity", "strided", "widening"],
)
def test_a_fused_block_computes_what_its_branches_do(out_channels, stride):
    block = ready(RepVGGBlock(4, out_channels, stride), seed=2)
    assert (block.identity is not None) == (out_channels == 4 and stride == 1)
    x = images(8, 4, 9, 9)
    fused = fuse_block(block)
    assert torch.allclose(torch.relu(fused(x)), block(x), rtol=0, atol=1e-5)
    assert fused.weight.dtype == torch.float32


def test_a_block_of_numbers_to_check_by_hand():
    """One channel: 3x3 kernel of ones with BN(2x + 1), 1x1 of 3 with BN(x - 1), identity BN(x / 2)."""
    block = RepVGGBlock(1, 1, 1).eval().requires_grad_(False)
    nn.init.ones_(block.conv3.weight)
    nn.init.constant_(block.conv1.weight, 3.0)
    for bn, scale, shift in (
        (block.bn3, 2.0, 1.0),
        (block.bn1, 1.0, -1.0),
        (block.identity, 0.5, 0),
    ):
        bn.eps = 0.0
        nn.init.constant_(bn.weight, scale)
        nn.init.constant_(bn.bias, shift)
    fused = fuse_block(block)
    kernel = torch.full((3, 3), 2.0)
    kernel[1, 1] = 2 + 3 + 0.5
    assert torch.equal(fused.weight[0, 0], kernel)
    assert fused.bias.item() == 0.0


def test_the_fused_network_is_the_same_function(model):
    x = images(16, 1, 28, 28)
    fused = fuse(model)
    largest = model(x).abs().max()
    assert (fused(x) - model(x)).abs().max() / largest < 1e-5
    assert torch.equal(fused(x).argmax(1), model(x).argmax(1))


def test_the_fused_network_has_one_convolution_a_block_and_no_statistics(model):
    fused = fuse(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    assert [block.paths for block in find_blocks(fused)][:-1] == [
        (f"blocks.{k}.conv", f"blocks.{k}.relu") for k in range(7)
    ]
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()), "a copy is fused"


def test_with_branches_a_block_is_one_whose_convolutions_both_read_its_input(model):
    blocks = find_blocks(model)[:-1]
    assert [block.name for block in blocks] == [f"blocks.{k}" for k in range(7)]
    for block in blocks:
        assert block.has_shortcut
        assert sorted(block.readers) == [f"{block.name}.conv1", f"{block.name}.conv3"]


class TestForms:
    """The same card, seen in two ways."""

    card = discover_cards()["repvgg-fashion"]

    def test_the_trained_network_fused_gives_the_same_logits(self):
        branches = self.card.load()
        fused = find_card("repvgg-fashion", {"form": "fused"}).load()
        x = images(64, 1, 28, 28)
        assert (fused(x) - branches(x)).abs().max() < 1e-4
        assert not any(p.requires_grad for p in fused.parameters())
        assert not any(m.training for m in fused.modules())

    def test_the_first_form_is_the_one_without_being_asked(self):
        for settings in ({}, {"form": "branches"}):
            model = find_card("repvgg-fashion", settings).form(self.card.build())
            assert isinstance(model.blocks[0], RepVGGBlock)

    def test_the_stress_copy_computes_the_same_with_kernels_of_other_ranges(self):
        fused, stressed = (
            find_card("repvgg-fashion", {"form": form}).load() for form in ("fused", "fused-stress")
        )
        x = images(64, 1, 28, 28)
        assert (fused(x) - stressed(x)).abs().max() < 1e-4
        pairs = [(fused.blocks[k].conv, stressed.blocks[k].conv) for k in range(7)]
        spreads = []
        for (a, b), (c, d) in itertools.pairwise(pairs):
            written = (d.bias / c.bias)[:, None, None, None]  # what the next one is made quieter by
            wrote, read = (
                a.bias / b.bias,
                (d.weight / c.weight / written).nanmedian(0).values[:, 1, 1],
            )
            assert torch.allclose(
                wrote, read, rtol=1e-3
            )  # what is taken from one is given to the next
            assert ((read > 0.249) & (read < 4.001)).all()
            spreads.append(float(read.max() / read.min()))
            # Louder is what stands out in the middle: the order of the two is one.
            taps = c.weight.abs().flatten(2)
            outer = taps[..., [0, 1, 2, 3, 5, 6, 7, 8]].amax((0, 2))
            ratio = taps[..., 4].amax(0) / outer
            assert (read[ratio.argsort()].diff() >= -1e-3).all()
        assert max(spreads) > 4

    def test_only_the_stress_copy_says_what_it_is(self):
        notes = {
            form: find_card("repvgg-fashion", {"form": form}).about_form for form in self.card.forms
        }
        assert notes["branches"] == notes["fused"] == ""
        assert notes["fused-stress"].startswith("This is a stress copy")

    def test_an_unknown_form_is_refused_with_those_there_are(self):
        with pytest.raises(UserError, match="'melted'; there are: branches, fused, fused-stress"):
            find_card("repvgg-fashion", {"form": "melted"})
        with pytest.raises(UserError, match="none at all"):
            find_card("vgg-fashion", {"form": "fused"})

    def test_the_catalog_knows_what_each_form_has(self):
        entry = catalog_entry(self.card)
        assert entry["batchnorm_layers"] == entry["forms"]["branches"]["batchnorm_layers"] > 0
        assert entry["forms"]["fused"]["batchnorm_layers"] == 0
        (knob,) = (knob for knob in entry["settings"] if knob["name"] == "form")
        assert (knob["default"], knob["choices"]) == ("branches", list(self.card.forms))
        assert (
            "fused-stress: This is a stress copy, not a network as it was trained" in knob["help"]
        )

    def test_what_reads_batchnorm_is_refused_for_the_fused_form_alone(self):
        entry = catalog_entry(self.card)
        methods = {"synthesis": [{"name": "dream", "needs": ["batchnorm"]}]}
        reasons = [
            refusal(methods, "synthesis", "dream", entry, {"form": form})
            for form in self.card.forms
        ]
        assert reasons[0] is None
        assert "needs BatchNorm statistics" in reasons[1]
        assert reasons[1].endswith("has none in the form 'fused'; set model.form=branches")
