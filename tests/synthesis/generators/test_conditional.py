"""The conditional generator and what goes into it, beside plain second implementations."""

import pytest
import torch
from torch import nn

from engine.synthesis.generators.networks import classmix
from engine.synthesis.generators.networks.classmix import ClassMix
from engine.synthesis.generators.networks.conditional_generator import (
    ClassBatchNorm,
    ConditionalGenerator,
)
from engine.synthesis.generators.networks.embedding import (
    PlainLatent,
    ScaledLatent,
    SuperposedEmbedding,
    standardised,
)

MIX = ClassMix(
    torch.tensor([[0, 1], [2, 2], [1, 0]]), torch.tensor([[0.3, 0.7], [0.5, 0.5], [0.9, 0.1]])
)


def labels(count):
    return classmix.of_labels(torch.arange(count) % 4)


def generated(shape, *, class_norms=False, count=12, width=16):
    torch.manual_seed(0)
    made = ConditionalGenerator(shape, code=10, classes=4, class_norms=class_norms, width=width)
    return made(torch.randn(count, 10), labels(count))


@pytest.mark.parametrize("class_norms", [False, True])
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 28, 28), (3, 30, 30), (4, 7, 9), (3, 2, 2)])
def test_images_of_any_size_and_channels_with_mean_0_and_std_1_per_channel(shape, class_norms):
    made = generated(shape, class_norms=class_norms)
    assert made.shape == (12, *shape)
    std, mean = torch.std_mean(made, dim=(0, 2, 3), correction=0)
    assert torch.allclose(mean, torch.zeros(shape[0]), atol=1e-5)
    assert torch.allclose(std, torch.ones(shape[0]), atol=2e-2)  # eps


def test_the_generator_has_the_papers_parameters():
    """At 32x32, 3 colours: 100 -> 128·8², convolutions 128-128-64-3, affine BatchNorms of 128, 128, 64."""
    linear = 100 * 128 * 64 + 128 * 64
    convolutions = sum(a * b * 9 + b for a, b in [(128, 128), (128, 64), (64, 3)])
    norms = 2 * (128 + 128 + 64)
    plain = ConditionalGenerator((3, 32, 32), code=100, classes=10)
    assert sum(p.numel() for p in plain.parameters()) == linear + convolutions + norms
    by_class = ConditionalGenerator((3, 32, 32), code=100, classes=10, class_norms=True)
    assert sum(p.numel() for p in by_class.parameters()) == linear + convolutions + 10 * norms
    assert [plain.norm_1.norm.eps, plain.norm_2.norm.eps, plain.norm_3.norm.eps] == [1e-5, 0.8, 0.8]
    assert (by_class.norm_1.norm.eps, by_class.norm_4.eps) == (1e-5, 1e-5)  # torch's own


@pytest.mark.parametrize("class_norms", [False, True])
def test_eval_mode_changes_nothing_and_nothing_is_kept(class_norms):
    made = ConditionalGenerator((3, 8, 8), code=10, classes=4, class_norms=class_norms, width=16)
    code, mix = torch.randn(6, 10), labels(6)
    with torch.no_grad():
        assert torch.equal(made(code, mix), made.eval()(code, mix))
    assert not list(made.buffers())


def test_class_batchnorm_is_batchnorm_at_first_and_takes_the_weighted_scale_and_shift_of_the_classes():
    norm, x = ClassBatchNorm(5, 3), torch.randn(3, 5, 4, 4)
    plain = nn.functional.batch_norm(x, None, None, training=True)
    assert torch.allclose(norm(x, MIX), plain, atol=1e-6)
    nn.init.normal_(norm.scale)
    nn.init.normal_(norm.shift)
    seen = norm(x, MIX)
    for image in range(3):
        scale, shift = torch.zeros(5), torch.zeros(5)
        for k in range(2):
            scale += MIX.weights[image, k] * norm.scale[MIX.classes[image, k]]
            shift += MIX.weights[image, k] * norm.shift[MIX.classes[image, k]]
        wanted = plain[image] * scale[:, None, None] + shift[:, None, None]
        assert torch.allclose(seen[image], wanted, atol=1e-5)


def test_gdfqs_input_is_the_embedding_of_the_class_times_the_latent():
    embedding, z = ScaledLatent(4, 6), torch.randn(3, 1, 6)
    labels = torch.tensor([3, 0, 3])
    code = embedding(classmix.of_labels(labels), z)
    for image in range(3):
        assert torch.equal(code[image], embedding.table.weight[labels[image]] * z[image, 0])


def test_a_plain_latent_is_itself():
    z = torch.randn(3, 1, 6)
    assert torch.equal(PlainLatent(6)(classmix.of_labels(torch.tensor([3, 0, 3])), z), z[:, 0])


@pytest.mark.parametrize("scaled", [False, True])
def test_of_a_mixture_the_latents_are_summed_by_its_weights(scaled):
    embedding, z = ScaledLatent(4, 6) if scaled else PlainLatent(6), torch.randn(3, 2, 6)
    code = embedding(MIX, z)
    for image in range(3):
        wanted = torch.zeros(6)
        for k in range(2):
            factor = embedding.table.weight[MIX.classes[image, k]] if scaled else 1.0
            wanted = wanted + MIX.weights[image, k] * factor * z[image, k]
        assert torch.allclose(code[image], wanted, atol=1e-6)


@pytest.mark.parametrize("mapped", [0, 4])
def test_superposed_embeddings_are_mapped_each_by_itself_and_then_summed(mapped):
    table = torch.randn(3, 6)
    embedding = SuperposedEmbedding(table, mapped=mapped)
    z = torch.randn(3, 2, 6)
    code = embedding(MIX, z)
    assert code.shape == (3, mapped or 6)
    for image in range(3):
        wanted = torch.zeros(mapped or 6)
        for k in range(2):
            slot = table[MIX.classes[image, k]] + z[image, k]
            slot = (slot - slot.mean()) / (slot.var(correction=0) + 1e-5).sqrt()
            if mapped:
                slot = embedding.mapping.weight @ slot + embedding.mapping.bias
            wanted += MIX.weights[image, k] * slot
        assert torch.allclose(code[image], wanted, atol=1e-5)


def test_without_the_mapping_there_is_none():
    assert (
        sum(p.numel() for p in SuperposedEmbedding(torch.zeros(3, 6), mapped=0).parameters()) == 18
    )
    with_it = SuperposedEmbedding(torch.zeros(3, 6), mapped=4)
    assert sum(p.numel() for p in with_it.parameters()) == 18 + 6 * 4 + 4


def test_embeddings_learn_unless_frozen_and_never_change_what_they_started_from():
    table = torch.randn(3, 6)
    kept = table.clone()
    for trainable in (True, False):
        embedding = SuperposedEmbedding(table, mapped=0, trainable=trainable)
        assert embedding.table.weight.requires_grad is trainable
        with torch.no_grad():
            embedding.table.weight.add_(1)
        assert torch.equal(table, kept)


def test_standardised_rows_have_mean_0_and_variance_1():
    rows = standardised(5 + 3 * torch.randn(4, 2, 50))
    assert torch.allclose(rows.mean(-1), torch.zeros(4, 2), atol=1e-5)
    assert torch.allclose(rows.var(-1, correction=0), torch.ones(4, 2), atol=1e-3)
