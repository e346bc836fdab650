"""Mini-batches drawn as permutations of all samples, one after another."""

import torch
from torch import Tensor


class MiniBatches:
    """Draws indices [size] of `count` samples; every sample comes once before any comes twice.

    `order` (what is left of the permutations drawn) and the generator are all of its state.
    """

    def __init__(self, count: int, size: int, rng: torch.Generator) -> None:
        self.count, self.size, self.rng = count, min(size, count), rng
        self.order = torch.empty(0, dtype=torch.long)

    def draw(self) -> Tensor:
        if len(self.order) < self.size:
            fresh = torch.randperm(self.count, generator=self.rng)
            self.order = torch.cat([self.order, fresh])
        index, self.order = self.order[: self.size], self.order[self.size :]
        return index
