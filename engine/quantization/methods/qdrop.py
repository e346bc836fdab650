"""QDrop: roundings and activation step sizes learned while activations are quantized only now and then.

Wei, Gong, Li, Liu, Yu: "QDrop: Randomly Dropping Quantization for Extremely Low-bit Post-Training
Quantization", ICLR 2022, arXiv:2203.05740.

As released, but for these: mini-batches are drawn without repetition; activations are fitted on 32 images
(256), and their zero point, searched as there, does not move with their step size; BatchNorm stays where it
is (folded); and first and last layers follow the recipe, whose usual edge rule is BRECQ's (edge_rule=qdrop:
its own). Its scaling of the step sizes' gradient is left out, since Adam's steps do not depend on it.
"""

from dataclasses import dataclass

from engine.core.method import MethodCard, knob_of
from engine.quantization.base import QuantizerSettings
from engine.quantization.reconstruction.reconstruction_method import Blockwise, JointSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class QDropSettings(JointSettings):
    """QDrop's settings; the defaults are the released ones. 0.1 for MobileNetV2's rounding regulariser."""

    activation_zero: str = knob_of(QuantizerSettings, "activation_zero", default="searched")


class QDrop(Blockwise):
    """AdaRound over blocks with LSQ activations; elements of them stay float with probability 1/2."""

    card = MethodCard(
        name="qdrop",
        title="QDrop",
        summary="Roundings learn with activations that are quantized only half of the time.",
        paper="Wei et al., QDrop: Randomly Dropping Quantization, ICLR 2022",
        url="https://arxiv.org/abs/2203.05740",
        shows=("soft-rounding",),
    )
    Settings = QDropSettings
