"""When a layer's own error is harmless, to watch, bad: as measured on runs, not by a rule of thumb."""

from functools import cache
from pathlib import Path

from engine.core.percent import percent
from engine.run.benches.outcomes import Levels, levels, outcomes_of, read

ASSETS = Path(__file__).parents[3] / "assets"


@cache
def measured_levels() -> Levels:
    """The levels that follow from the shipped measurements, in dB of SQNR."""
    result = read(ASSETS)
    found = levels(outcomes_of(result)) if result else None
    if found is None:
        raise RuntimeError(f"{ASSETS} has no measured outcomes of layers, or too few")
    return found


def good_db() -> float:
    """From this SQNR on a layer costs answers no more often than chance would show."""
    return measured_levels().good


def bad_db() -> float:
    """Under this SQNR a layer costs answers more likely than not."""
    return measured_levels().bad


def error_share(sqnr_db: float) -> float:
    """The size of the error over the size of the signal: 0.1 at 20 dB, 1 at 0 dB."""
    return float(10 ** (-sqnr_db / 20))


def share_words(sqnr_db: float) -> str:
    """The same in percent, for a sentence."""
    share = error_share(sqnr_db)
    return percent(share, 0) if share >= 0.005 else f"less than {percent(0.01, 0)}"


def levels_words() -> str:
    """What the two levels rest on, in a sentence."""
    found = measured_levels()
    return (
        f"Of {found.layers} layers of measured runs, each made float again on its own, those under "
        f"{found.bad:g} dB (an error of {percent(error_share(found.bad), 0)} of the signal) cost answers in "
        f"{percent(found.below, 0)} of the cases, those from {found.good:g} dB "
        f"({percent(error_share(found.good), 0)}) on in {percent(found.above, 0)}, "
        f"those between in {percent(found.between, 0)}."
    )
