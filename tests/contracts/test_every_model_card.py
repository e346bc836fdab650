"""What every bundled network's card owes its callers; the walk, on toys as well."""

import pytest
import torch
from torch import nn

from engine.analysis.answers.verification import verify
from engine.core.errors import UserError
from engine.data.images import open_idx
from engine.models.card import ASSETS, catalog_entry
from engine.models.cards.sources import discover_cards
from engine.models.graph.blocks import find_blocks, is_layer
from engine.models.graph.walk import Walk, WalkPlan
from engine.models.probing.output.find import find_output
from tests.contracts.nets import TinyResNet, ready
from tests.toys import ConvWithoutBn, ResidualToy, TwoBlocks

CARDS = discover_cards()
TOYS = {
    "TinyResNet": (TinyResNet, 3),
    "ResidualToy": (ResidualToy, 3),
    "TwoBlocks": (TwoBlocks, 1),
    "ConvWithoutBn": (ConvWithoutBn, 1),
}
every_card = pytest.mark.parametrize("name", CARDS)


@pytest.fixture(scope="module")
def loaded():
    """Networks by the names of their cards, each loaded once."""
    kept = {}

    def get(name):
        if name not in kept:
            try:
                kept[name] = CARDS[name].load()
            except UserError as error:
                pytest.skip(str(error))
        return kept[name]

    return get


@every_card
def test_loads_ready_to_be_used(name, loaded):
    card, model = CARDS[name], loaded(name)
    assert card.name == name
    assert not any(module.training for module in model.modules())
    assert not any(p.requires_grad for p in model.parameters())
    logits = model(torch.zeros(1, *card.image_shape))
    assert torch.isfinite(logits).all()
    if card.classes:
        assert logits.shape == (1, len(card.classes))


@every_card
def test_a_network_has_classes_where_it_says_so_and_else_none(name, loaded):
    card, entry = CARDS[name], catalog_entry(CARDS[name])
    kind = find_output(loaded(name), card.image_shape, card.output).kind
    assert (entry["classes"] > 1) == (kind == "logits")
    assert card.output in ("auto", kind)


@every_card
def test_pixels_are_normalised_per_channel(name):
    card = CARDS[name]
    assert len(card.mean) == len(card.std) == card.image_shape[0]
    assert all(0 <= mean <= 1 for mean in card.mean)
    assert all(0 < std <= 1 for std in card.std)
    assert card.resize >= max(card.image_shape[1:])


@every_card
def test_weights_are_the_file_and_not_the_initialisation(name, loaded):
    fresh = CARDS[name].build().state_dict()
    model = loaded(name)
    for path, module in model.named_modules():
        if is_layer(module):
            assert not torch.equal(module.weight, fresh[f"{path}.weight"])


def network(name, loaded):
    """(model, images) of a card or a toy."""
    if name in TOYS:
        cls, channels = TOYS[name]
        shape, model = (channels, 8, 8), ready(cls())
    else:
        shape, model = CARDS[name].image_shape, loaded(name)
    return model, torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))


every_network = pytest.mark.parametrize("name", [*CARDS, *TOYS])


@every_network
def test_blocks_hold_every_layer_once(name, loaded):
    model, _ = network(name, loaded)
    held = [path for block in find_blocks(model) for path in block.layers]
    assert sorted(held) == sorted(path for path, m in model.named_modules() if is_layer(m))
    assert len(set(held)) == len(held)


@every_network
def test_a_walk_sees_what_the_network_itself_computes(name, loaded):
    """Block by block beside hooks on one ordinary forward pass; then the logits."""
    model, x = network(name, loaded)
    blocks = find_blocks(model)
    ins, outs, hooks = {}, {}, []
    for block in blocks:

        def arrives(module, args, name=block.name):
            ins.setdefault(name, args[0].clone())

        def leaves(module, args, output, name=block.name):
            if name in ins:  # a module shared by blocks is called for others before
                outs.setdefault(name, output.clone())

        first, last = (model.get_submodule(block.paths[k]) for k in (0, -1))
        hooks += [first.register_forward_pre_hook(arrives), last.register_forward_hook(leaves)]
    with torch.no_grad():
        logits = model(x)
    for handle in hooks:
        handle.remove()

    walk = Walk(model, WalkPlan(model, blocks), x, chunk=len(x))
    for block in blocks:
        arrived = walk.to(block)
        assert torch.equal(arrived, ins[block.name])
        assert torch.equal(walk.to(block), arrived), "asking twice must not walk on"
        left = walk.through(block)
        if block.region is None or block.region.exit.op == "call_module":  # else behind a sum
            assert torch.equal(left, outs[block.name])
        with torch.no_grad():
            assert torch.equal(block.run(model, arrived), left)
    if isinstance(model.get_submodule(blocks[-1].paths[-1]), nn.Linear):
        assert torch.equal(left, logits)


def test_a_walk_in_chunks_keeps_the_order_of_the_images(loaded):
    model, _ = network("TinyResNet", loaded)
    x = torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    blocks = find_blocks(model)
    walk = Walk(model, WalkPlan(model, blocks), x, chunk=3)
    assert torch.equal(walk.to(blocks[0]), x)
    with torch.no_grad():
        assert torch.allclose(walk.through(blocks[-1]), model(x), atol=1e-6)


def test_a_walk_may_go_straight_through_to_a_later_block(loaded):
    model, x = network("TinyResNet", loaded)
    blocks = find_blocks(model)
    steps, leap = (Walk(model, WalkPlan(model, blocks), x, chunk=3) for _ in range(2))
    for block in blocks[:3]:
        steps.through(block)
    assert torch.equal(steps.to(blocks[3]), leap.to(blocks[3]))


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, c in CARDS.items() if c.test and c.reported_top1])
def test_a_network_with_test_images_is_as_accurate_as_it_says(name, loaded):
    """On the first 1,000 images: 0.03 is nearly four times the standard error of 0.93 there."""
    card, model = CARDS[name], loaded(name)
    images = open_idx(
        ASSETS / card.test.images, ASSETS / card.test.labels,
        mean=card.mean, std=card.std, name="test",
    )  # fmt: skip
    assert len(images) == 10_000
    with torch.no_grad():
        x, labels = images.first(1000), images.labels[:1000]
        right = torch.cat([model(part).argmax(1) for part in x.split(500)]) == labels
    assert abs(float(right.float().mean()) - card.reported_top1) < 0.03


def test_the_embedding_tells_apart_what_it_never_saw(loaded):
    """On 2,000 pairs as its makers report, 7.4 %: 0.02 is more than three standard errors."""
    card, model = CARDS["embedding-fashion"], loaded("embedding-fashion")
    images = open_idx(
        ASSETS / card.test.images, ASSETS / card.test.labels,
        mean=card.mean, std=card.std, name="test", only=card.test.only,
    )  # fmt: skip
    assert not {*card.test.only} & {*card.calibration.only}
    with torch.no_grad():
        embeddings = torch.cat([model(part) for part in images.batches(500)])
    found = verify(images.labels, embeddings, embeddings)
    assert found["pairs"] == 2000
    assert abs(found["error"]["fp32"] - 0.074) < 0.02
