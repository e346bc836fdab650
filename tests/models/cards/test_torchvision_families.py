"""Every family of torchvision's convolutional classifiers: understood, walked through, and fine at 8 bits."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from engine.analysis.layers.errors import sqnr_db
from engine.models.checkpoints.outline import outline
from engine.models.graph.blocks import find_blocks, is_layer, remarks
from engine.models.graph.walk import Walk, WalkPlan
from engine.models.import_torchvision import torchvision_models
from engine.quantization.grids.quantizers import ActivationQuantizer, Makers, WeightQuantizer
from engine.quantization.plan import plan_bits
from engine.quantization.student import fit_block, make_student
from engine.synthesis.statistics.batchnorm import StoredStatistics
from tests.thorough import thorough

IMAGES = 4
FAMILIES = {  # architecture: side of the images
    "alexnet": 64, "convnext_tiny": 64, "densenet121": 64, "efficientnet_b0": 64,
    "efficientnet_v2_s": 64, "googlenet": 96, "inception_v3": 139, "mnasnet0_5": 64,
    "mobilenet_v2": 64, "mobilenet_v3_large": 64, "mobilenet_v3_small": 64, "regnet_x_400mf": 64,
    "regnet_y_400mf": 64, "resnet18": 64, "resnet50": 64, "resnext50_32x4d": 64,
    "shufflenet_v2_x0_5": 64, "squeezenet1_1": 64, "vgg11": 64, "vgg11_bn": 64, "wide_resnet50_2": 64,
}  # fmt: skip
LIKE_ANOTHER = (  # built of the blocks of another one here
    "efficientnet_v2_s", "mobilenet_v3_large", "regnet_x_400mf", "resnext50_32x4d", "vgg11",
    "wide_resnet50_2",
)  # fmt: skip
# Nothing needs clipping at 8 bits, and to search for nothing is quick.
MAKERS = Makers(
    weights=partial(WeightQuantizer, rule="min-max"),
    activations=partial(ActivationQuantizer, rule="min-max"),
)


def build(architecture: str, side: int) -> tuple[nn.Module, Tensor]:
    """The network with random weights, its BatchNorms with the statistics of these images.

    BatchNorms give 1 ± 0.4, so that most activations pass what they get. Were it 0 ± 1, as at the start
    of a training, a random network would amplify any difference: a float teacher whose image is changed
    by -44 dB then answers with 12 dB (GoogLeNet, MobileNetV2).
    """
    models = torchvision_models()
    options = {"num_classes": 10}
    if architecture in ("googlenet", "inception_v3"):
        options |= {"init_weights": False, "transform_input": True}  # with auxiliary heads
    if architecture in (
        "resnet50",
        "resnext50_32x4d",
        "wide_resnet50_2",
    ):  # fewer of the same blocks
        width = {"groups": 32, "width_per_group": 4} if "next" in architecture else {}
        width = {"width_per_group": 128} if "wide" in architecture else width
        model = models.ResNet(models.resnet.Bottleneck, [2, 1, 1, 1], **options, **width)
    else:
        model = outline(partial(models.get_model, architecture, weights=None, **options))
    _narrow_head(model)
    model = model.to_empty(device="cpu") if any(p.is_meta for p in model.parameters()) else model
    x = _images(side)
    model.eval().requires_grad_(False)
    for module in model.modules():
        if is_layer(module):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            nn.init.constant_(module.weight, 0.4)
            nn.init.ones_(module.bias)
            module.momentum = None  # a plain average
            module.train()
        elif hasattr(module, "layer_scale"):
            nn.init.constant_(module.layer_scale, 0.1)
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
    model(x)
    return model.eval(), x


def _images(side: int) -> Tensor:
    """Noise on smooth surfaces: pure noise looks the same everywhere once it is pooled."""
    rng = torch.Generator().manual_seed(1)
    smooth = torch.randn(IMAGES, 3, 4, 4, generator=rng) + torch.randn(
        IMAGES, 3, 1, 1, generator=rng
    )
    smooth = nn.functional.interpolate(smooth, size=side, mode="bilinear")
    return smooth + 0.5 * torch.randn(IMAGES, 3, side, side, generator=rng)


def _narrow_head(model: nn.Module) -> None:
    """VGG and AlexNet with 32 instead of 4096 features before their classes: the same, and quick."""
    if isinstance(model, (torchvision_models().VGG, torchvision_models().AlexNet)):
        linear = [k for k, module in enumerate(model.classifier) if isinstance(module, nn.Linear)]
        for k in linear:
            old = model.classifier[k]
            wide = [old.in_features if k == linear[0] else 32, 10 if k == linear[-1] else 32]
            model.classifier[k] = nn.Linear(*wide)


@pytest.mark.extended
@pytest.mark.parametrize(
    "architecture", [*(f for f in FAMILIES if f not in LIKE_ANOTHER), *thorough(*LIKE_ANOTHER)]
)
def test_a_family_is_understood_and_loses_little_at_8_bits(architecture):
    teacher, x = build(architecture, FAMILIES[architecture])
    blocks = find_blocks(teacher)
    ran = {}
    hooks = [
        module.register_forward_hook(lambda *_, path=path: ran.update({path: None}))
        for path, module in teacher.named_modules()
        if is_layer(module)
    ]
    logits = teacher(x)
    for hook in hooks:
        hook.remove()
    held = [path for block in blocks for path in block.layers]
    assert sorted(held) == sorted(ran), "every layer that runs, once"
    heads = [path for path, m in teacher.named_modules() if is_layer(m) and path not in ran]
    assert all("aux" in path.lower() for path in heads)
    assert bool(heads) == any("do not run" in said for said in remarks(teacher, blocks))
    assert not any("aux" in path.lower() for path in StoredStatistics(teacher, x.shape[1:]).paths)

    plan = plan_bits(blocks, weight_bits=8, activation_bits=8, edge_rule="brecq")
    student = make_student(teacher, blocks, plan, MAKERS)
    walks = [Walk(m, WalkPlan(teacher, blocks), x, IMAGES) for m in (teacher, student)]
    for block in blocks:
        x_teacher, x_student = (walk.to(block) for walk in walks)
        fit_block(student, block, x_student)
        wanted, _ = (walk.through(block) for walk in walks)
        assert sqnr_db(wanted, block.run(student, x_teacher)) > 25, f"{block.name} alone"
    if wanted.shape == logits.shape:  # SqueezeNet pools behind its last block
        assert torch.allclose(wanted, logits, atol=1e-4)
    assert sqnr_db(logits, student(x)) > 20
