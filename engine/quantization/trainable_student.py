"""A student that is trained: its float weights are learned, what it computes is on the grid.

Quantization-aware training with a straight-through estimator (Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3), as the data-free
methods train theirs beside a generator (Xu et al., GDFQ, ECCV 2020, section 3.3).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from engine.models.graph.blocks import Block
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.base import QuantizerSettings, activation_maker
from engine.quantization.grids.quantizers import ActivationQuantizer, Makers, WeightQuantizer
from engine.quantization.plan import LayerBits
from engine.quantization.student import fit_block, make_student

FIT_IMAGES = 64  # that ranges are placed by: as many as a block's of a finished student


class TrainedStudent(nn.Module):
    """The teacher's copy at few bits; scores [n, classes] for images [n, c, h, w], gradients for both.

    What the teacher learned is learned on: weights, biases, scales and shifts of BatchNorm. The
    statistics that BatchNorm keeps stay as they are (eval mode), as in the papers. Ranges are those of
    `fit`, by the rules of the quantizer that comes after, so that its grids are the ones trained for;
    the papers take the extremes of every weight, and of activations a running mean of them.
    """

    def __init__(
        self,
        teacher: nn.Module,
        blocks: Sequence[Block],
        plan: Mapping[str, LayerBits],
        ranges: QuantizerSettings,
    ) -> None:
        super().__init__()
        percentile = ranges.percentile
        self.network = make_student(
            teacher, blocks, plan,
            Makers(
                weights=partial(TrainedWeight, rule=ranges.weight_range, percentile=percentile),
                activations=activation_maker(ranges),
            ),
        )  # fmt: skip
        self._names = [name for name, _ in teacher.named_parameters()]
        for parameter in self._learned().values():
            parameter.requires_grad_()
        self._blocks, self._walk = tuple(blocks), WalkPlan(teacher, blocks)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.network(x)
        return scores

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Place all grids anew, for the weights as they are now and what the layers read of the images."""
        for module in self.network.modules():
            quantizer = getattr(module, "weight_quantizer", None)
            if isinstance(quantizer, TrainedWeight):
                quantizer.fit(module.float_weight)  # type: ignore[arg-type]
        for quantizer in self._inputs().values():
            quantizer.fitted = False
        walk = Walk(self.network, self._walk, images[:FIT_IMAGES], FIT_IMAGES)
        for block in self._blocks:
            fit_block(self.network, block, walk.to(block))
            walk.through(block)

    def weights(self) -> dict[str, Tensor]:
        """What was learned, by the teacher's names: float, not yet on a grid."""
        return {name: value.detach().clone() for name, value in self._learned().items()}

    def _learned(self) -> dict[str, nn.Parameter]:
        named = dict(self.network.named_parameters())
        return {name: named[name] for name in self._names}

    def _inputs(self) -> dict[str, ActivationQuantizer]:
        named = self.network.named_modules()
        return {path: each for path, each in named if isinstance(each, ActivationQuantizer)}

    def get_extra_state(self) -> dict[str, list[int]]:
        """What ranges hold beside tensors: without it a loaded student would place them anew."""
        return {
            path: [each.low, each.high, int(each.fitted)] for path, each in self._inputs().items()
        }

    def set_extra_state(self, state: Any) -> None:
        for path, each in self._inputs().items():
            each.low, each.high, fitted = state[path]
            each.fitted = bool(fitted)


class TrainedWeight(WeightQuantizer):
    """Rounds to the nearest level in every pass; the gradient passes to the float weight as it is."""

    def forward(self, weight: Tensor) -> Tensor:
        values: Tensor = _StraightThrough.apply(weight, self.scale, self.zero_point, self.highest)  # type: ignore[no-untyped-call]
        return values


class _StraightThrough(torch.autograd.Function):
    """Nearest values on the grid; as in the papers, clipped weights keep their gradient."""

    @staticmethod
    def forward(
        _ctx: Any, weight: Tensor, scale: Tensor, zero_point: Tensor, highest: int
    ) -> Tensor:
        codes = (weight / scale).round_().add_(zero_point).clamp_(0, highest)
        return codes.sub_(zero_point).mul_(scale)

    @staticmethod
    def backward(_ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return grads[0], None, None, None
