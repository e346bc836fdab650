"""Searched codes: each weight is a soft mixture of its nearest levels until it decides for one of them.

Yang, Wang, Han, Xu, Xu, Tao, Xu: "Searching for Low-Bit Weights in Quantized Neural Networks", NeurIPS
2020, arXiv:2009.08695: ŵ = Σ_k softmax(T · A)_k v_k with the logits A as parameters and a temperature T
that rises. There A has an entry for every level; here for the nearest few, which begin at minus the
squared distance, so that the most probable level is the nearest one.
"""

import torch
from torch import Tensor, nn

from engine.quantization.grids.quantizers import WeightQuantizer

SOFTNESS = 0.25  # squared steps: a level half a step farther begins about e times less probable


class SearchedWeightQuantizer(WeightQuantizer):
    """Logits over the `candidates` nearest codes of a uniform grid; `temperature` sharpens them.

    After `soften`, `rounding` holds the logits [*weight.shape, candidates]; after `harden` each weight has
    its most probable code.
    """

    def __init__(
        self, bits: int, *, candidates: int, rule: str = "mse", percentile: float = 99.9
    ) -> None:
        super().__init__(bits, rule=rule, percentile=percentile)
        self.candidates = min(candidates, 2**bits)
        self.temperature = 1.0
        self._choices: Tensor | None = None  # uint8 codes, in the shape of the logits

    def soften(self, weight: Tensor) -> None:
        place = weight.detach() / self.fitted_scale + self.zero_point  # on the axis of codes
        first = torch.floor(place - (self.candidates - 2) / 2)
        first = first.clamp(0, self.highest + 1 - self.candidates)
        choices = first[..., None] + torch.arange(self.candidates, device=weight.device)
        self._choices = choices.to(torch.uint8)
        away = place.clamp(0, self.highest)[..., None] - choices
        self.rounding = nn.Parameter(-away.square() / SOFTNESS)
        self.temperature = 1.0
        self.scale.requires_grad_()

    def probabilities(self) -> Tensor:
        """Of the candidates, [*weight.shape, candidates]."""
        assert self.rounding is not None
        return torch.softmax(self.temperature * self.rounding, -1)

    def soft_rounding(self) -> Tensor:
        """The probability of the most probable level: 1 once a weight has decided."""
        return self.probabilities().amax(-1)

    def decided(self) -> Tensor:
        """The most probable codes, whole numbers in float, in the shape of the weight."""
        assert self.rounding is not None
        assert self._choices is not None
        best = self.rounding.detach().argmax(-1, keepdim=True)
        return self._choices.gather(-1, best)[..., 0].float()

    def harden(self) -> None:
        if self.rounding is None or self._choices is None:
            return
        self.register_buffer("codes", self.decided().to(torch.uint8))
        self.rounding = self._choices = None
        self.scale = nn.Parameter(self.scale.detach(), requires_grad=False)

    def forward(self, weight: Tensor) -> Tensor:
        if self.rounding is None or self._choices is None:
            return self.grid.values(self.codes)
        codes = (self.probabilities() * self._choices).sum(-1)
        return self.grid.values(codes)

    @torch.no_grad()
    def flipped(self, weight: Tensor) -> float:
        now = self.codes if self.rounding is None else self.decided()
        return float((now != self.nearest(weight)).float().mean())
