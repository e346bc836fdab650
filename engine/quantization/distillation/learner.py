"""What moves in a student while the whole of it is trained, and what is asked besides the answers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.method import Losses, View
from engine.quantization.plan import BlockLike
from engine.quantization.student import stored_block

_TINY = 1e-12


def share(got: Tensor, wanted: Tensor) -> Tensor:
    """‖got − wanted‖² / ‖wanted‖²."""
    return (got - wanted).square().sum() / wanted.square().sum().clamp_min(_TINY)


class Learner(ABC):
    """What methods that train the whole network differ in; the trainer is the same for all."""

    def __init__(self, student: nn.Module, blocks: Sequence[BlockLike]) -> None:
        self.student, self.blocks = student, blocks
        paths = [path for block in blocks for path in block.layers]
        self.layers: dict[str, Any] = {path: student.get_submodule(path) for path in paths}

    @abstractmethod
    def groups(self) -> list[dict[str, Any]]:
        """Parameters and their learning rates, for Adam."""

    @abstractmethod
    def settle(self) -> None:
        """End learning: whole codes from here on."""

    def begin(self, progress: float, rng: torch.Generator) -> None:
        """Called before each step, with the share of steps taken: temperatures, noise, fixed shares.

        It is a function of progress and rng alone, and of what `state_dict` holds.
        """

    def penalties(self, x: Tensor, wanted: Tensor, progress: float) -> Losses:
        """What is asked beside the teacher's answers `wanted` to the images x."""
        return {}

    def feature_error(self, got: Tensor, wanted: Tensor) -> Tensor:
        """How far the output of a block is from the teacher's, where the settings give that a weight."""
        return share(got, wanted)

    def after(self, progress: float) -> None:
        """Called behind the optimiser's step, without gradients."""

    def views(self) -> Sequence[View]:
        """What there is to see of the learning."""
        return ()

    def learned(self) -> dict[str, Tensor]:
        """Every block of the settled student by its stored names."""
        self.settle()
        state: dict[str, Tensor] = {}
        for block in self.blocks:
            state |= stored_block(self.student, block)
        return state

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the parameters of `groups`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
