"""CFWS: the centre of each kernel on a grid of its own, and what that leaves on a finer one. No training.

Yang et al., "Post-Training Quantization for Re-parameterization via Coarse & Fine Weight Splitting",
2023, arXiv:2312.10588. Made for RepVGG's fused kernels, whose centre tap carries three branches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.method import MethodCard, View, knob, knob_of
from engine.models.architectures.repvgg import RepVGGBlock
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.grids.quantizers import Makers
from engine.quantization.grids.weights.split import SPLITS, SplitWeightCodes, has_centre
from engine.quantization.plan import BlockLike

_BINS = 48  # of a picture's histograms


@dataclass(frozen=True, slots=True, kw_only=True)
class CfwsSettings(QuantizerSettings):
    """CFWS's settings. The rule for weights' ranges does not count: nothing is clipped."""

    split: str = knob(
        "centre",
        label="What is split",
        help="centre: the middle of each kernel is rounded coarsely first, 10 codes for 9 weights; all: "
        "every weight is, 18 for 9; none: a plain grid, the control",
        choices=SPLITS,
        off="none",
    )
    by_channel: bool = knob(
        True,
        label="A step for each channel",
        help="else one for the whole layer",
    )
    # The paper's own divergence is "kl-full-range", in our reading: where most pixels of an image have one
    # value, it clipped a quarter of the others. The classical rule did not.
    activation_range: str = knob_of(
        QuantizerSettings, "activation_range", default="kl", quick=None, standard=None
    )


class Cfws(QuantizationMethod):
    """The bits of the recipe are those of a code; a kernel of 3x3 stores 10 codes for its 9 weights.

    Biases stay float32; the paper keeps them in 16 bits. Its release quantizes what both parts have
    summed up at one output; here inputs are quantized, as for every other quantizer.
    """

    card = MethodCard(
        name="cfws",
        title="CFWS: coarse and fine weights",
        summary="A fused kernel's wide centre is rounded by itself; what is left of it and the taps around "
        "it get a finer grid.",
        paper="Yang et al., Post-Training Quantization for Re-parameterization via Coarse & Fine Weight "
        "Splitting, 2023 (its divergence for activations is a choice, in our reading)",
        url="https://arxiv.org/abs/2312.10588",
        shows=("taps",),
    )
    Settings = CfwsSettings
    exportable = False  # a weight is the sum of two codes

    def makers(self) -> Makers:
        chosen: CfwsSettings = self.settings
        weights = partial(SplitWeightCodes, split=chosen.split, by_channel=chosen.by_channel)
        return replace(super().makers(), weights=weights)

    def idle_ranges(self) -> dict[str, str]:
        return {"weight": "nothing is clipped here"}

    def remarks(self, teacher: nn.Module) -> list[str]:
        if any(isinstance(module, RepVGGBlock) for module in teacher.modules()):
            return [
                "This network has its branches side by side, whose kernels have no wide centre to split; set "
                "model.form=fused for the one that CFWS is made for."
            ]
        return []

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """The centre taps against the outer ones, before the split (step 0) and after it (1)."""
        return [view for path in block.layers for view in _taps(path, student.get_submodule(path))]


@torch.no_grad()
def _taps(path: str, layer: Any) -> list[View]:
    quantizer, weight = layer.weight_quantizer, layer.float_weight
    if not has_centre(weight):
        return []
    rest = quantizer.parts(weight)[0].values.view(weight.shape)
    return [_taps_view(path, turn, values) for turn, values in enumerate((weight, rest))]


def _taps_view(path: str, turn: int, values: Tensor) -> View:
    height, width = values.shape[2:]
    middle = torch.zeros(height, width, dtype=torch.bool, device=values.device)
    middle[height // 2, width // 2] = True
    centre, outer = values[..., middle].flatten().cpu(), values[..., ~middle].flatten().cpu()
    reach = float(values.abs().max()) or 1.0
    shares = [torch.histc(part, _BINS, -reach, reach) / len(part) for part in (centre, outer)]
    spread = [float(part.std(correction=0)) for part in (centre, outer)]
    return View(
        form="taps", what=path,
        arrays={"places": torch.linspace(-1, 1, 2 * _BINS + 1)[1::2] * reach,
                "centre": shares[0], "outer": shares[1]},
        values={"split": float(turn), "centre_std": spread[0], "outer_std": spread[1],
                "ratio": spread[0] / max(spread[1], 1e-12)},
    )  # fmt: skip
