"""GENIE-M: rounding, weight step sizes and activation step sizes learned together, block by block.

Jeon, Kim, Kim: "GENIE: Show Me the Data for Quantization", CVPR 2023, arXiv:2212.04780, section 4.

As released, but for these: the first block is compared behind its BatchNorm and ReLU (the release: behind the
convolution), and every grid holds the 0.
"""

from dataclasses import dataclass

from engine.core.method import MethodCard, knob, knob_of
from engine.quantization.reconstruction.reconstruction_method import (
    Blockwise,
    JointSettings,
    RoundingSettings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenieMSettings(JointSettings):
    """GENIE-M's settings; the defaults are the released ones."""

    rounding_weight: float = knob_of(RoundingSettings, "rounding_weight", default=1.0)
    lr_weight_step: float = knob(
        1e-4,
        label="Learning rate of the weights' step sizes",
        help="Adam, cosine to 0",
        low=0, high=1, quick=5e-3, standard=5e-3,
    )  # fmt: skip


class GenieM(Blockwise):
    """AdaRound with a released step size, LSQ activations, QDrop, over blocks."""

    card = MethodCard(
        name="genie-m",
        title="GENIE-M",
        summary="Block by block, rounding and step sizes are learned until the outputs meet the teacher's.",
        paper="Jeon et al., GENIE: Show Me the Data for Quantization, CVPR 2023",
        url="https://arxiv.org/abs/2212.04780",
        shows=("soft-rounding",),
    )
    Settings = GenieMSettings
