"""An activation of one bit: a sign, or whether there is anything at all."""

import torch
from torch import Tensor

from engine.quantization.grids.quantizers import ActivationQuantizer

_INSIDE = 2.0  # times the mean size: for values spread evenly over [-1, 1], those that hardtanh lets through


class SignActivation(ActivationQuantizer):
    """One bit: {-s, s} by the sign of the value, 0 counting as positive; {0, s} where no value is negative.

    s of the signs is the mean of |x|, which has the smallest squared error (Rastegari et al., XNOR-Net, ECCV
    2016, section 3.1); of {0, s} it is searched as that of every even grid. The gradient of the sign is that
    of the identity where |x| is at most twice s (Hubara et al., Binarized Neural Networks, NeurIPS 2016,
    section 1.3: where |x| is at most 1, for values that hardtanh has cut there).
    """

    def fit(self, x: Tensor) -> None:
        super().fit(x)
        if bool((x < 0).any()):
            self.low, self.high = -1, 1
            scale = x.detach().abs().mean().clamp_min(1e-12)
            self.scale = torch.nn.Parameter(scale, requires_grad=False)

    @property
    def of_signs(self) -> bool:
        """Whether the two levels are -s and s."""
        return self.low < 0

    def levels(self) -> Tensor:
        """[1, 2] values, rising."""
        if not self.of_signs:
            return super().levels()
        scale = self.scale.detach()
        return torch.stack([-scale, scale]).view(1, -1)

    def side_bits(self) -> int:
        """A float32 scale."""
        return 32

    def forward(self, x: Tensor) -> Tensor:
        if not self.fitted:
            self.fit(x)
        if not self.of_signs or self.keep_float >= 1:
            return super().forward(x)
        scale = self.scale.detach()
        values = torch.where(x >= 0, scale, -scale)
        through = x.clamp(-_INSIDE * scale, _INSIDE * scale)
        return through + (values - through).detach() if x.requires_grad else values
