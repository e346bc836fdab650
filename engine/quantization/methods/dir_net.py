"""DIR-Net: weights of one bit that say as much as a bit can, trained by gradients that sharpen slowly.

Inspired by Qin, Zhang, Gong, Ding, Xu, Liu: "Distribution-Sensitive Information Retention for Accurate
Binary Neural Network", IJCV 2023, arXiv:2109.12338: only its abstract could be had. Signs and their gradient
are those of its predecessor IR-Net (CVPR 2020, arXiv:1909.10788).

Departures: there a network is trained from scratch on labelled data, and its activations are signs too;
here a trained network learns from generated images, BatchNorm stays as it is, activations have the bits of
the recipe (signs at 1, of a size that is fitted), and the layers that keep more bits than 1 learn by plain
rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.method import MethodCard, View, knob, knob_of
from engine.core.sampling.samples import sampled
from engine.quantization.base import QuantizerSettings, activation_maker
from engine.quantization.distillation.learner import Learner
from engine.quantization.distillation.method import Distilled, DistilledSettings
from engine.quantization.grids.quantizers import ActivationQuantizer, Makers
from engine.quantization.grids.sign_activation import SignActivation
from engine.quantization.grids.weights.binary import (
    FELT,
    BinaryWeightCodes,
    held_back,
    sharpness_at,
    sign_entropy,
    slope,
)
from engine.quantization.plan import BlockLike
from engine.quantization.student import quantizers
from engine.quantization.trainable_student import TrainedWeight

_PLACINGS = (
    4  # of the activations' ranges over the training: those of untrained signs are of no use
)
_REACH, _PLACES, _MOST_VALUES = 3.0, 61, 2**16  # of what is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class DirNetSettings(DistilledSettings):
    """DIR-Net's settings; sharpnesses are IR-Net's."""

    balance: bool = knob(
        True,
        label="Balance the signs",
        help="the sign is that of the weight less its channel's mean, so that about half of the bits are "
        "set; else that of the weight itself",
    )
    offset: bool = knob(
        True,
        label="Add the mean back",
        help="a channel's two values lie around its mean, else around 0, as in the paper, where BatchNorm "
        "learns on behind it",
        within="balance",
    )
    estimator: str = knob(
        "two-stage",
        label="Gradient of the sign",
        help="two-stage: wide at first, so that all weights move, then ever more like the sign's own; "
        "straight-through: that of the identity, throughout",
        choices=("two-stage", "straight-through"),
        off="straight-through",
    )
    flattest: float = knob(
        0.1,
        label="Sharpness at first",
        help="of the two-stage gradient, in standard deviations of the weights",
        low=1e-3, high=10,
    )  # fmt: skip
    sharpest: float = knob(
        10.0, label="Sharpness in the end", help="see above", low=1e-3, high=1000
    )
    spared: float = knob(
        0.1,
        label="Share of weights that keep a gradient",
        help="the gradient of a layer does not get sharper than leaves it to this share of its weights; 0: "
        "it does",
        low=0, high=1,
    )  # fmt: skip
    float_until: float = knob(
        0.5,
        label="Activations stay float until",
        help="share of the steps: weights alone are learned first, then for the activations' bits too",
        low=0, high=1, off=0.0,
    )  # fmt: skip
    feature_weight: float = knob_of(
        DistilledSettings, "feature_weight", label="Weight of the blocks' maps",
        help="beside the network's answers: where in the image each block's output is strong, teacher beside "
        "student",
    )  # fmt: skip
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", quick="delta", standard="delta")


class NearestWhileLearning(TrainedWeight):
    """More bits: rounded to nearest in every pass while `learning`, on the grid that was fitted at first."""

    learning = False

    def fit(self, weight: Tensor) -> None:
        if hasattr(self, "codes"):
            self.place(self.grid, weight)
        else:
            super().fit(weight)

    def forward(self, weight: Tensor) -> Tensor:
        return super().forward(weight) if self.learning else self.grid.values(self.codes)


class DirNet(Distilled):
    """Distillation into weights of one bit; `balance` and `estimator` off is plain sign, as long trained."""

    card = MethodCard(
        name="dir-net",
        title="DIR-Net",
        summary="Weights of 1 bit, balanced so that each sign says most; its gradient sharpens step by step.",
        paper="Inspired by Qin et al., Distribution-Sensitive Information Retention, IJCV 2023 (abstract), "
        "and its predecessor IR-Net, CVPR 2020",
        url="https://arxiv.org/abs/2109.12338",
        shows=("signs",),
        fewest_weight_bits=1,
        fewest_activation_bits=1,
    )
    Settings = DirNetSettings

    def makers(self) -> Makers:
        usual = super().makers()
        signs = activation_maker(self.settings, SignActivation)
        return replace(
            usual, weights=partial(_weights, self.settings),
            activations=lambda bits: signs(bits) if bits == 1 else usual.activations(bits),
        )  # fmt: skip

    def learner(self, student: nn.Module, blocks: Sequence[BlockLike]) -> Learner:
        return SignLearner(student, blocks, self.settings)


def _weights(chosen: DirNetSettings, bits: int) -> BinaryWeightCodes | NearestWhileLearning:
    if bits == 1:
        return BinaryWeightCodes(bits, balance=chosen.balance, offset=chosen.offset)
    return NearestWhileLearning(bits, rule=chosen.weight_range, percentile=chosen.percentile)


class SignLearner(Learner):
    """Float weights whose signs are what is computed with, and biases where layers have them."""

    def __init__(
        self, student: nn.Module, blocks: Sequence[BlockLike], chosen: DirNetSettings
    ) -> None:
        super().__init__(student, blocks)
        self._chosen = chosen
        found = [quantizer for block in blocks for _, quantizer in quantizers(student, block)]
        self._inputs = [q for q in found if isinstance(q, ActivationQuantizer)]
        self.binary = {
            path: layer
            for path, layer in self.layers.items()
            if isinstance(layer.weight_quantizer, BinaryWeightCodes)
        }
        self._placed = -1
        for layer in self.layers.values():
            layer.weight_quantizer.learning = True
        for parameter in self._parameters():
            parameter.requires_grad_()

    def _parameters(self) -> list[nn.Parameter]:
        layers = self.layers.values()
        return [
            *(layer.float_weight for layer in layers),
            *(layer.bias for layer in layers if layer.bias is not None),
        ]

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": self._parameters(), "lr": self._chosen.lr}]

    def begin(self, progress: float, rng: torch.Generator) -> None:
        chosen = self._chosen
        for quantizer in self._inputs:
            if progress < chosen.float_until:
                quantizer.learn(1.0, rng)  # all of it is kept float
            else:
                quantizer.settle()
        part = int(_PLACINGS * progress)
        if progress >= chosen.float_until and part != self._placed:
            self._placed = part
            for quantizer in self._inputs:
                quantizer.fitted = False  # the next mini-batch places it
        if chosen.estimator != "two-stage":
            return
        wanted = sharpness_at(progress, chosen.flattest, chosen.sharpest)
        for layer in self.binary.values():
            spread = layer.weight_quantizer.spread(layer.float_weight.detach())
            layer.weight_quantizer.sharpness = held_back(wanted, spread, chosen.spared)

    def feature_error(self, got: Tensor, wanted: Tensor) -> Tensor:
        """‖A / ‖A‖ - A' / ‖A'‖‖² with A = Σ_c y_c² at each place; of an output without places, nothing."""
        if got.dim() < 3:
            return got.new_zeros(())
        channels = (
            2 if got.dim() == 3 else 1
        )  # the places of tokens [n, tokens, channels] come first
        maps = [y.square().sum(channels).flatten(1) for y in (got, wanted)]
        mine, its = (m / m.norm(dim=1, keepdim=True).clamp_min(1e-12) for m in maps)
        error: Tensor = (mine - its).square().sum(1).mean()
        return error

    @torch.no_grad()
    def settle(self) -> None:
        for quantizer in self._inputs:
            quantizer.settle()
        for parameter in self._parameters():
            parameter.requires_grad_(False)
        for layer in self.layers.values():
            layer.weight_quantizer.learning = False
            layer.weight_quantizer.fit(layer.float_weight)

    @torch.no_grad()
    def views(self) -> Sequence[View]:
        """The gradient as it is now over the weights' distances from their border, and the signs' entropy."""
        if not self.binary:
            return []
        x = torch.linspace(-_REACH, _REACH, _PLACES)
        slopes, spreads, felt, entropy, plain = [], [], [], [], []
        for layer in self.binary.values():
            quantizer, weight = layer.weight_quantizer, layer.float_weight.detach()
            spread = quantizer.spread(weight)
            slopes.append(slope(x, quantizer.sharpness))
            spreads.append(sampled(spread, _MOST_VALUES // len(self.binary)).flatten().cpu())
            felt.append(float((slope(spread, quantizer.sharpness) >= FELT).float().mean()))
            entropy.append(sign_entropy(spread >= 0))
            plain.append(sign_entropy(weight.flatten(1) >= 0))
        all_spread, count = torch.cat(spreads).float(), len(self.binary)
        return [
            View(
                form="signs",
                what="all weights of 1 bit",
                arrays={
                    "place": x,
                    "slope": torch.stack(slopes).mean(0),
                    "centres": (torch.arange(30) + 0.5) / 5 - _REACH,
                    "shares": torch.histc(all_spread, 30, -_REACH, _REACH) / len(all_spread),
                },
                values={
                    "entropy": sum(entropy) / count,
                    "plain": sum(plain) / count,
                    "felt": sum(felt) / count,
                },
            )
        ]

    def state_dict(self) -> dict[str, Any]:
        return {"placed": self._placed, "grids": [quantizer.stored() for quantizer in self._inputs]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._placed = state["placed"]
        for quantizer, stored in zip(self._inputs, state["grids"], strict=True):
            quantizer.restore(stored)
