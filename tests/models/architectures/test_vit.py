"""The vision transformer: its blocks are found as blocks, and what is no layer of them stays float."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.core.trace import watch_outputs
from engine.models.architectures.vit import Attention
from engine.models.graph.blocks import find_blocks, remarks
from engine.models.graph.macs import count_macs
from engine.quantization.student import fit_block, make_student
from engine.quantization.transforms.bias_and_batchnorm_correction import correct_block
from engine.synthesis.statistics.propagation import expected_outputs
from tests.contracts.nets import images, quantizing, ready
from tests.toys import TinyViT

INSIDE = ("attention.qkv", "attention.projection", "mlp.0", "mlp.2")


@pytest.fixture
def vit():
    return ready(TinyViT())


def test_a_transformer_block_is_one_block_with_all_its_linear_layers(vit):
    blocks = find_blocks(vit)
    assert [block.name for block in blocks] == ["patches", "blocks.0", "blocks.1", "head"]
    assert blocks[1].layers == tuple(f"blocks.0.{name}" for name in INSIDE)


def test_attention_is_a_mean_of_values_weighted_by_softmax_head_by_head():
    attention, x = ready(Attention(width=6, heads=2)), torch.randn(2, 5, 6)
    query, key, value = attention.qkv(x).split(6, -1)
    heads = []
    for h in (slice(0, 3), slice(3, 6)):
        weights = functional.softmax(query[..., h] @ key[..., h].mT / 3**0.5, -1)
        heads.append(weights @ value[..., h])
    wanted = attention.projection(torch.cat(heads, -1))
    assert torch.allclose(attention(x), wanted, atol=1e-6)


def test_operations_are_those_of_every_token(vit):
    """Four patches of 4 x 4 x 3 pixels to 8 numbers; four tokens through 8 x 24; one mean to 3 scores."""
    paths = ["patches", "blocks.0.attention.qkv", "head"]
    found = count_macs(vit, paths, images(1))
    assert list(found.values()) == [4 * 48 * 8, 4 * 8 * 24, 8 * 3]


def test_what_stays_float_is_told(vit):
    said = " ".join(remarks(vit, find_blocks(vit)))
    assert "Weights of neither Conv2d nor Linear stay float: positions." in said
    assert "Two activations are multiplied in 2 places" in said


def test_every_linear_layer_is_quantized_and_layer_norm_is_not(vit):
    work = quantizing(4, 4, "all", teacher=vit)
    walked = {path for block in work.blocks for path in block.layers}
    student = make_student(vit, work.blocks, work.plan)
    for path, module in student.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            assert path in walked
            assert module.weight_quantizer.bits == module.input_quantizer.bits == 4
        assert not isinstance(module, nn.LayerNorm) or type(module) is nn.LayerNorm


@torch.no_grad()
def test_bias_correction_gives_every_number_of_the_tokens_its_mean_back(vit):
    work = quantizing(2, 4, "all", teacher=vit)
    block = work.blocks[1]
    x = torch.randn(8, 4, 8, generator=torch.Generator().manual_seed(3))
    fit_block(work.student, block, x)
    correct_block(work.student, vit, block, x_teacher=x, x_student=x, bias=True, batchnorm="none")
    means = {}
    for name, model in (("teacher", vit), ("student", work.student)):
        with watch_outputs(
            model,
            block.layers,
            lambda path, y, name=name: means.update({(name, path): y.mean((0, 1))}),
        ):
            block.run(model, x)
    for path in block.layers:
        assert torch.allclose(means["student", path], means["teacher", path], atol=1e-5)


def test_noise_teaches_the_statistics_of_tokens_too(vit):
    """By hand: what torch says of all tokens of all images together, behind every layer but the head."""
    rng = torch.Generator().manual_seed(0)
    found = expected_outputs(vit, (3, 8, 8), rng, 64)
    tokens = [
        path for path, m in vit.named_modules() if isinstance(m, nn.Linear) and path != "head"
    ]
    assert list(found) == ["patches", *tokens]
    noise = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = {}
    with watch_outputs(vit, tokens, seen.__setitem__):
        vit(noise)
    for path in tokens:
        flat = seen[path].flatten(0, 1)
        assert torch.allclose(found[path].mean, flat.mean(0), atol=1e-5)
        assert torch.allclose(found[path].std, flat.std(0), rtol=1e-3, atol=1e-5)
