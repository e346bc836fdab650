"""DAQ: every channel of every image has a step of its own, from its deviation. No training, no calibration.

Hong, Kim, Baik, Oh, Lee: "DAQ: Channel-Wise Distribution-Aware Quantization for Deep Image Super-Resolution
Networks", WACV 2022, arXiv:2012.11230, as its release and its abstract tell it; without the fine-tuning
that the paper has beside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from engine.core.method import MethodCard, View, knob
from engine.quantization.base import QuantizationMethod, QuantizerSettings
from engine.quantization.grids.gaussian_steps import GaussianInput, GaussianWeightCodes
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike

_SIDE = 14  # pixels of a channel that are drawn, from its middle
_MOST_CHANNELS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class DaqSettings(QuantizerSettings):
    """DAQ's settings. The rules for ranges do not count."""

    grids: str = knob(
        "channel",
        label="A grid for each",
        help="channel: of each image, by its own mean and deviation; tensor: one for all channels of an "
        "image, and one for all weights of a layer",
        choices=("channel", "tensor"),
        off="tensor",
    )
    sigma_bits: int = knob(
        8,
        label="Bits of a deviation",
        help="the deviations of an image's channels are rounded too, by the same rule; 0: they stay float",
        low=0, high=8, off=0, within="grids",
    )  # fmt: skip
    mixed: bool = knob(
        False,
        label="Bits by the channel",
        help="channels that deviate more get more bits, others fewer, as many on average",
        within="grids",
    )
    as_released: bool = knob(
        False,
        label="Steps as released",
        help="the release reads its table of steps at one bit less, which makes them some 1.7 times the best "
        "ones for a Gaussian",
    )


class Daq(QuantizationMethod):
    """Steps are a Gaussian's best ones, times the deviation of what is there."""

    card = MethodCard(
        name="daq",
        title="DAQ",
        summary="Each channel of each image gets levels by its own mean and spread, when it is computed.",
        paper="Hong et al., DAQ: Channel-Wise Distribution-Aware Quantization for Deep Image "
        "Super-Resolution Networks, WACV 2022 (training-free)",
        url="https://arxiv.org/abs/2012.11230",
        shows=("deviations",),
        fewest_weight_bits=1,
    )
    Settings = DaqSettings
    exportable = False  # levels follow the image

    def makers(self) -> Makers:
        chosen: DaqSettings = self.settings
        both = {"by_channel": chosen.grids == "channel", "as_released": chosen.as_released}
        return Makers(
            weights=partial(GaussianWeightCodes, **both),
            activations=partial(
                GaussianInput, sigma_bits=chosen.sigma_bits, mixed=chosen.mixed, **both
            ),
        )

    def idle_ranges(self) -> dict[str, str]:
        return dict.fromkeys(("weight", "activation"), "levels follow deviations")

    def notes(self) -> list[str]:
        each = "channel of each image" if self.settings.grids == "channel" else "image"
        return [
            f"The mean and deviation of every {each} are taken when it is computed, at every layer: a cost "
            "at run time that bits and bytes do not show.",
            *super().notes(),
        ]

    def reconstruct(self, *args: Any, **kwargs: Any) -> None:
        return None

    @torch.no_grad()
    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        """Of each layer's own input: its channels' deviations, and the widest one before and after."""
        found = []
        for path in block.layers:
            quantizer: Any = student.get_submodule(path).input_quantizer
            seen = getattr(quantizer, "seen", None)
            if seen is not None and seen.dim() == 4:
                found.append(_channels(path, quantizer, seen))
        return found


def _channels(path: str, quantizer: GaussianInput, x: torch.Tensor) -> View:
    sigma = x[0].flatten(1).std(1, correction=0)
    error = (quantizer(x) - x)[0].flatten(1).square().mean(1).sqrt()
    order = sigma.argsort(descending=True)[:_MOST_CHANNELS]
    widest = int(order[0])
    top, left = (max(0, (side - _SIDE) // 2) for side in x.shape[2:])
    piece = x[0, widest, top : top + _SIDE, left : left + _SIDE]
    coarse = quantizer(x)[0, widest, top : top + _SIDE, left : left + _SIDE]
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in piece.shape)
    return View(
        form="deviations",
        what=path,
        arrays={
            "rank": torch.arange(len(order), dtype=torch.float32),
            "sigma": sigma[order],
            "error": error[order],
            "row": rows.repeat_interleave(len(columns)),
            "column": columns.repeat(len(rows)),
            "float": piece.flatten(),
            "quantized": coarse.flatten(),
            "difference": (coarse - piece).flatten(),
        },
        values={
            "channel": float(widest),
            "spread": float(sigma.max() / sigma.median().clamp_min(1e-12)),
            "noise": float(error.square().mean() / sigma.square().mean().clamp_min(1e-24)),
        },
    )
