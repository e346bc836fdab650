"""The project's own recipe: GENIE-M made for hundreds of steps, its BatchNorm layers corrected behind it.

GENIE-M's parts are published. Ours are the rates, step sizes that move in proportion, and the form in which
BatchNorm is corrected; `python -m engine bench ablation` measures what each earns:

- Roundings learn at twenty times GENIE-M's rate: in 400 steps of the released 1e-3 hardly a weight can change
  its mind (what AdaRound's own budget of 20,000 steps hides).
- Step sizes move in proportion to their size, so that one rate suits 2 bits and 8 (ours; GENIE-M's
  release moves all step sizes by the same amounts).
- Each finished block's BatchNorm is moved by what quantization shifted its input, measured between
  student and teacher on the same images ("delta" in corrections.py): what the images' own statistics are
  off by cancels out, which is what makes the correction safe on images that are no data. (Statistics taken
  anew are published; the difference of the two networks' is ours.)

Nagel et al., AdaRound, arXiv:2004.10568; Wei et al., QDrop, arXiv:2203.05740; Jeon et al., GENIE,
arXiv:2212.04780, section 4.
"""

from dataclasses import dataclass

from engine.core.method import MethodCard, knob_of
from engine.quantization.base import QuantizerSettings
from engine.quantization.methods.genie_m import GenieMSettings
from engine.quantization.reconstruction.reconstruction_method import Blockwise, RoundingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantoscopeSettings(GenieMSettings):
    """The measured recipe; `paper` only means more steps of it."""

    steps: int = knob_of(RoundingSettings, "steps", default=2000, quick=120, standard=400)
    lr_rounding: float = knob_of(RoundingSettings, "lr_rounding", default=2e-2, standard=2e-2)
    rounding_weight: float = knob_of(RoundingSettings, "rounding_weight", default=0.1)
    lr_activation_step: float = knob_of(GenieMSettings, "lr_activation_step", default=2e-3)
    lr_weight_step: float = knob_of(GenieMSettings, "lr_weight_step", default=5e-3)
    step_rates: str = knob_of(GenieMSettings, "step_rates", default="relative")
    batchnorm: str = knob_of(QuantizerSettings, "batchnorm", default="delta")


class Quantoscope(Blockwise):
    """GENIE-M at rates for small budgets; BatchNorm follows each block."""

    card = MethodCard(
        name="quantoscope",
        title="Quantoscope",
        summary="GENIE-M at rates for hundreds of steps, and each BatchNorm moved by what the bits shifted.",
        paper="This project's own recipe, after Jeon et al., GENIE, CVPR 2023",
        url="https://arxiv.org/abs/2212.04780",
        shows=("soft-rounding",),
    )
    Settings = QuantoscopeSettings
