"""Weights that choose among their nearest levels: a softmax that sharpens until one level is left.

Yang et al.: "Searching for Low-Bit Weights in Quantized Neural Networks", NeurIPS 2020, arXiv:2009.08695.
"""

import torch
from torch import Tensor, nn

from engine.quantization.grids.quantizers import WeightQuantizer

SPREAD = 0.25  # in squared steps: how unsure a weight is at first of a level that is one step away


class SoftChoice(WeightQuantizer):
    """Each weight a mixture of the `nearest_levels` nearest levels of its channel's even grid.

    Before `open` and behind `harden` it holds codes like any other. The paper starts from random logits
    over all levels; here a weight begins near its own value, and levels far from it are no candidates.
    """

    def __init__(
        self, bits: int, *, candidates: int = 4, rule: str = "mse", percentile: float = 99.9
    ):
        super().__init__(bits, rule=rule, percentile=percentile)
        self.candidates = min(candidates, 2**bits)
        self.logits: nn.Parameter | None = None
        self.temperature = 1.0  # the paper's T: it multiplies the logits, and rises
        self.one_hot = False

    def open(self, weight: Tensor) -> None:
        """Begin to learn; the likeliest level of each weight is its nearest one."""
        place = weight / self.scale + self.zero_point
        lowest = (place.floor() - (self.candidates // 2 - 1)).clamp(
            0, self.highest + 1 - self.candidates
        )
        offsets = torch.arange(self.candidates, device=weight.device, dtype=weight.dtype)
        self._lowest = lowest
        distance = place.clamp(0, self.highest)[..., None] - (lowest[..., None] + offsets)
        self.logits = nn.Parameter(-distance.square() / SPREAD)

    def shares(self) -> Tensor:
        """[..., candidates]: how much each candidate level counts; they sum to 1."""
        assert self.logits is not None
        return torch.softmax(self.logits * self.temperature, -1)

    def confidence(self) -> Tensor:
        """The largest share of each weight, in (0, 1]."""
        return self.shares().detach().amax(-1)

    def forward(self, weight: Tensor) -> Tensor:
        if self.logits is None:
            return super().forward(weight)
        shares = self.shares()
        offsets = torch.arange(self.candidates, device=weight.device, dtype=weight.dtype)
        soft = (shares * offsets).sum(-1)
        if self.one_hot:  # the values of the codes, and the gradient of the mixture
            soft = soft + (shares.argmax(-1).to(soft.dtype) - soft).detach()
        return self.grid.values(self._lowest + soft)

    def harden(self) -> None:
        if self.logits is not None:
            codes = self._lowest + self.logits.detach().argmax(-1)
            self.register_buffer("codes", codes.to(torch.uint8))
            self.logits = None
        super().harden()

    @torch.no_grad()
    def flipped(self, weight: Tensor) -> float:
        if self.logits is None:
            return super().flipped(weight)
        now = self._lowest + self.logits.argmax(-1)
        return float((now != self.nearest(weight)).float().mean())
