"""Whole networks of other people's: what torch computes of them, ONNX Runtime computes from their codes."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.models.import_torchvision import torchvision_models
from tests.export.graphs import network, ran
from tests.models.cards.test_torchvision_families import FAMILIES, build

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("family", ["squeezenet1_1", "shufflenet_v2_x0_5"])
def test_a_family_of_torchvision_at_four_bits(family):
    module, images = build(family, FAMILIES[family])
    theirs, ours = ran(network(module, tuple(images.shape[1:]), 4), images[:2])
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)


def test_a_vision_transformer_at_four_bits():
    torch.manual_seed(0)
    module = torchvision_models().VisionTransformer(16, 8, 2, 2, 16, 32, num_classes=5)
    nn.init.normal_(module.heads.head.weight)
    theirs, ours = ran(network(module, (3, 16, 16), 4), torch.randn(3, 3, 16, 16))
    assert np.abs(ours).max() > 0.1
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)
