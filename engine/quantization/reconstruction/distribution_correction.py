"""Distribution correction: inputs of a block moved until its BatchNorms see the statistics they keep.

Liu et al., PD-Quant, CVPR 2023, section 3.3: few calibration images have features that are not like the
training set's, and roundings chosen on them overfit.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from engine.core.method import Losses
from engine.core.optimisers import Adam
from engine.core.trace import watch_inputs
from engine.quantization.plan import BlockLike

_CHUNK = 32
_TINY = 1e-8  # under the root, whose slope at 0 has no end (PD-Quant's release: 1e-6)


def batchnorms(model: nn.Module, block: BlockLike) -> list[str]:
    """Paths of the BatchNorms within the block."""
    return [
        f"{path}.{name}".removesuffix(".")
        for path in block.paths
        for name, module in model.get_submodule(path).named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]


class DistributionCorrection:
    """A step machine; each step moves the inputs of all images once, `inputs` are where they are now.

    An image's statistics are its own, so images do not depend on each other, and all of them moving in
    one step is the same as mini-batches of them taking turns (but for the learning rate's schedule,
    which here listens to all of them). A block without BatchNorms has nothing to correct.
    """

    def __init__(
        self,
        teacher: nn.Module,
        block: BlockLike,
        x: Tensor,
        *,
        steps: int,
        rate: float,
        leash: float,
    ) -> None:
        self.total_steps = steps
        self._teacher, self._block, self._x, self._leash = teacher, block, x, leash
        self._paths = batchnorms(teacher, block)
        self._moved = x.clone().requires_grad_()
        self._optimiser = Adam([self._moved], lr=rate)
        self._schedule = ReduceLROnPlateau(self._optimiser, patience=100, min_lr=1e-5)

    @property
    def inputs(self) -> Tensor:
        """The block's input for all images, corrected as far as the steps have come."""
        return self._moved.detach()

    def step(self) -> Losses:
        if not self._paths:
            return {"statistics": torch.zeros(())}
        count = len(self._x)
        sums = {"statistics": torch.zeros(()), "distance": torch.zeros(())}
        self._optimiser.zero_grad()
        for index in torch.arange(count).split(_CHUNK):
            losses = {
                "statistics": self._statistics(self._moved[index]),
                "distance": self._distance(index),
            }
            torch.stack(list(losses.values())).sum().backward()
            sums = {name: total + losses[name].detach() for name, total in sums.items()}
        self._optimiser.step()
        means = {name: total / count for name, total in sums.items()}
        self._schedule.step(float(sum(means.values())))
        return means

    def _statistics(self, x: Tensor) -> Tensor:
        """Σ over images and BatchNorms of ‖μ − mean‖² + ‖σ − std‖², each image's own statistics.

        σ is of the biased variance, as BatchNorm normalises by; PD-Quant's release takes the unbiased one.
        """
        gaps: list[Tensor] = []

        def listen(path: str, seen: Tensor) -> None:
            kept: Any = self._teacher.get_submodule(path)
            std = (seen.var((2, 3), unbiased=False) + _TINY).sqrt()
            gaps.append((seen.mean((2, 3)) - kept.running_mean).square().sum())
            gaps.append((std - (kept.running_var + _TINY).sqrt()).square().sum())

        with watch_inputs(self._teacher, self._paths, listen):
            self._block.run(self._teacher, x)
        return torch.stack(gaps).sum()

    def _distance(self, index: Tensor) -> Tensor:
        """How far the inputs have moved: Σ over channels, mean over places, by the length of the leash."""
        far = (self._moved[index] - self._x[index]).square().sum(1)
        return far.flatten(1).mean(1).sum() / self._leash

    def state_dict(self) -> dict[str, Any]:
        return {
            "moved": self._moved.detach(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            self._moved.copy_(state["moved"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
