"""AQuant (inspired by): the border between rounding an activation down and up is learned, not 1/2.

Li, Guo, Zhu, Zhou, Qiu, Gao, Leng, Guo: "Efficient Activation Quantization via Adaptive Rounding Border
for Post-Training Quantization", arXiv:2208.11945. engine/quantization/grids/rounding_borders.py says what is
the paper's here and what is ours.
"""

from dataclasses import dataclass
from functools import partial

from engine.core.method import MethodCard, knob
from engine.quantization.base import activation_maker
from engine.quantization.grids.quantizers import Makers, WeightQuantizer
from engine.quantization.grids.rounding_borders import BorderQuantizer
from engine.quantization.reconstruction.reconstruction_method import (
    Blockwise,
    JointSettings,
    core_settings,
)
from engine.quantization.reconstruction.settings import ReconstructionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AQuantSettings(JointSettings):
    """QDrop's settings and one more; its value is ours, for the paper's was not to be had."""

    lr_border: float = knob(
        1e-3,
        label="Learning rate of the borders",
        help="Adam, cosine to 0, for the three coefficients of each channel's border",
        low=0, high=1, quick=2e-2, standard=5e-3, off=0.0,
    )  # fmt: skip


class AQuant(Blockwise):
    """QDrop with borders that learn along. Experimental: no integer kernel rounds like this."""

    card = MethodCard(
        name="aquant",
        title="AQuant (experimental)",
        summary="Where an activation is rounded up is learned too. For study: it cannot be exported.",
        paper="inspired by Li et al., Adaptive Rounding Border for Post-Training Quantization, 2022",
        url="https://arxiv.org/abs/2208.11945",
        shows=("soft-rounding", "borders"),
    )
    Settings = AQuantSettings
    exportable = False

    def makers(self) -> Makers:
        chosen: AQuantSettings = self.settings
        return Makers(
            weights=partial(
                WeightQuantizer, rule=chosen.weight_range, percentile=chosen.percentile
            ),
            activations=activation_maker(chosen, BorderQuantizer),
        )

    def core(self) -> ReconstructionSettings:
        return core_settings(self.settings, lr_also=self.settings.lr_border)
