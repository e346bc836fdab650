"""Layer by layer through a block: each layer is rounded for what the layers before it have become."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from engine.core.method import Losses, View, knob
from engine.quantization.base import QuantizerSettings
from engine.quantization.grids.alphabet import ALPHABETS
from engine.quantization.plan import BlockLike
from engine.quantization.rounding.columns import ColumnRounding
from engine.quantization.rounding.patches import LayerProblem, PatchSettings, layer_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchwiseSettings(QuantizerSettings):
    """What layers are rounded for, and how often one looks; defaults as in GPFQ's released code."""

    step_takes: ClassVar[str] = "share"

    steps: int = knob(
        32,
        label="Steps per block",
        help="into how many equal shares a block's columns are cut, each a step on the screen; the codes "
        "do not depend on it",
        low=1, high=1_000_000,
    )  # fmt: skip
    patch_share: float = knob(
        0.25,
        label="Share of the patches",
        help="of each image, drawn at random; few images need all of them",
        low=0, high=1, quick=1.0, standard=1.0,
    )  # fmt: skip
    overlap: bool = knob(
        False,
        label="Overlapping patches",
        help="patches at the layer's own stride; without, they lie side by side",
        quick=True, standard=True,
    )  # fmt: skip
    most_patches: int = knob(
        1_000_000,
        label="Patches at most",
        help="of all images together; memory and time grow with it, and fewer than four times a layer's "
        "inputs are learned by heart",
        low=1, high=100_000_000, quick=4096, standard=8192,
    )  # fmt: skip

    @property
    def patches(self) -> PatchSettings:
        return PatchSettings(share=self.patch_share, overlap=self.overlap, most=self.most_patches)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerwiseSettings(PatchwiseSettings):
    """What layer-by-layer rounding to even levels can be told."""

    alphabet: str = knob(
        "strict",
        label="Alphabet",
        help="strict: 2^b − 1 even levels around 0, one step size a layer; paper: as GPFQ was released, "
        "2^b + 1 of them, which is more than b bits; grid: 2^b levels a channel, by the rule for ranges",
        choices=ALPHABETS,
    )
    radius: float = knob(
        1.16,
        label="Radius of the alphabet",
        help="in mean largest weights of a neuron",
        low=0.01, high=100,
    )  # fmt: skip


class LayerwiseRounding:
    """A step machine: each step rounds an equal share of all columns of the block's layers."""

    def __init__(
        self,
        student: nn.Module,
        block: BlockLike,
        *,
        x_teacher: Tensor,
        x_student: Tensor,
        patches: PatchSettings,
        policy: Callable[[LayerProblem], ColumnRounding],
        steps: int,
        rng: torch.Generator,
    ) -> None:
        self._student, self._block = student, block
        self._x_teacher, self._x_student = x_teacher, x_student
        self._patches, self._policy, self._rng = patches, policy, rng
        self.total_steps = steps
        self._steps_done = 0
        layers: list[Any] = [student.get_submodule(path) for path in block.layers]
        self._layers = layers
        self._widths = [layer.float_weight.flatten(1).shape[1] for layer in layers]
        self._at = 0  # the layer being rounded
        self._rounding: ColumnRounding | None = None
        self._layer_rng = rng.get_state()  # as the layer began: its patches are drawn again from it
        self._path: list[tuple[int, int, float, float]] = []
        self._values: dict[str, float] = {}
        self._error = 0.0
        self._finished: list[View] = []  # layers finished since the last look

    @torch.no_grad()
    def step(self) -> Losses:
        columns = sum(self._widths)
        behind = columns * (self._steps_done + 1) // self.total_steps
        while self._at < len(self._layers):
            done = sum(self._widths[: self._at])
            if done >= behind and self._rounding is None:
                break
            rounding = self._opened()
            rounding.advance(min(behind - done, rounding.width))
            self._error = rounding.error()
            if rounding.at < rounding.width:
                break
            self._close(rounding)
        self._steps_done += 1
        return {"error": torch.tensor(self._error)}

    def _opened(self) -> ColumnRounding:
        if self._rounding is None:
            self._layer_rng = self._rng.get_state()
            problem = layer_problem(
                self._student,
                self._block,
                self._block.layers[self._at],
                x_teacher=self._x_teacher,
                x_student=self._x_student,
                settings=self._patches,
                rng=self._rng,
            )
            self._rounding = self._policy(problem)
        return self._rounding

    def _close(self, rounding: ColumnRounding) -> None:
        layer, problem = self._layers[self._at], rounding.problem
        rounding.settle(layer.weight_quantizer, layer.float_weight.shape)
        values = rounding.values()
        self._values = {"error_seen": problem.error(values, held_out=False)}
        if problem.held_teacher.shape[2]:
            self._values["error_held_out"] = problem.error(values, held_out=True)
        self._path += [(self._at, *point) for point in rounding.path]
        self._finished.append(rounding.view(self._block.layers[self._at]))
        self._at, self._rounding = self._at + 1, None

    def values(self) -> dict[str, float]:
        """‖W X − Ŵ X̃‖ / ‖W X‖ of the layer last finished, on its patches and on images kept back."""
        return self._values

    def path(self) -> dict[str, Tensor]:
        """By column: which layer of the block, the error so far, and that of nearest rounding."""
        table = self._table()
        names = ("layer", "column", "error", "nearest")
        return {name: table[:, k] for k, name in enumerate(names)}

    def _table(self) -> Tensor:
        points = self._path
        if self._rounding is not None:
            points = points + [(self._at, *point) for point in self._rounding.path]
        return torch.tensor(points, dtype=torch.float64).view(-1, 4)

    def views(self) -> Sequence[View]:
        """The error column by column, and the codes of one output channel.

        Of the layers finished since the last look, and of the one at work.
        """
        seen, self._finished = self._finished, []
        if self._rounding is not None and self._rounding.at:
            seen = [*seen, self._rounding.view(self._block.layers[self._at])]
        return seen

    @torch.no_grad()
    def flipped(self) -> float:
        """The share of the block's codes that differ from nearest rounding, in [0, 1]."""
        sizes = [layer.float_weight.numel() for layer in self._layers]
        shares = [layer.weight_quantizer.flipped(layer.float_weight) for layer in self._layers]
        return float(sum(n * share for n, share in zip(sizes, shares, strict=True)) / sum(sizes))

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps_done": self._steps_done,
            "at": self._at,
            "stored": [layer.weight_quantizer.stored() for layer in self._layers],
            "rounding": None if self._rounding is None else self._rounding.state_dict(),
            "layer_rng": self._layer_rng,
            "rng": self._rng.get_state(),
            "path": self._path,
            "values": self._values,
            "error": self._error,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps_done, self._at = state["steps_done"], state["at"]
        self._path, self._values = [tuple(point) for point in state["path"]], state["values"]
        self._error = state["error"]
        for layer, stored in zip(self._layers, state["stored"], strict=True):
            layer.weight_quantizer.restore(stored)
        self._rounding = None
        if state["rounding"] is not None:
            self._rng.set_state(state["layer_rng"])
            self._opened().load_state_dict(state["rounding"])
        self._layer_rng = state["layer_rng"]
        self._rng.set_state(state["rng"])
