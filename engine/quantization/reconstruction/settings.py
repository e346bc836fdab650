"""What the papers built on block reconstruction differ in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionSettings:
    """The budget and the rates of one block's reconstruction."""

    steps: int
    batch: int
    lr_rounding: float
    lr_weight_step: float  # 0: the weights' step sizes stay as fitted (AdaRound, BRECQ, QDrop)
    lr_activation_step: float
    relative_steps: (
        bool  # step sizes move in proportion to their fitted size, not by absolute amounts
    )
    rounding_weight: float
    warm_up: float  # share of the steps before the rounding regulariser sets in
    sharpness: tuple[float, float]  # its exponent at first and in the end
    keep_float: float  # QDrop: probability that an element stays float
    mix_input: float  # probability that an element of the block's input is the student's
    rounding_rate: str = "constant"  # or "cosine": how the roundings' learning rate goes on
    lr_also: float = 0.0  # for what an activation learns beside its step size (AQuant's borders)
    learn_codes: bool = True  # False: the codes are settled, and only activations learn (BRECQ)
