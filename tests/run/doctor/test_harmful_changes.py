"""A change that is predicted to help nothing is neither proposed nor counted as worth a try."""

import pytest

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import Loss
from engine.run.commands.finished_run import doctor as command
from engine.run.questions.doctor.doctor import _sentence

LITTLE = Loss(value=0.001, unit="KL", images=40, agreement=1.0)
MUCH = Loss(value=9.0, unit="KL", images=40, agreement=0.1)


def finding(gain, severity="yellow"):
    band = None if gain is None else (gain - 0.1, gain + 0.1)
    change = Change(words="give it more bits")
    return Finding(
        cause="It is narrow.", severity=severity, evidence={}, change=change, predicted_gain=gain,
        band=band, unit="KL", rule="bits", title="Few bits", source="here",
    )  # fmt: skip


def text_of(*findings):
    plain = [one.plain() | {"tried": None, "track": None} for one in findings]
    return command._as_text({"findings": plain, "notes": [], "sentence": "That is all."})


@pytest.mark.parametrize("gain", [-0.0024, 0.0])
def test_what_would_not_help_is_not_proposed(gain):
    told = text_of(finding(gain))
    assert "Try:" not in told
    assert f"Predicted not to help: give it more bits; predicted gain {gain:.4g} KL" in told


@pytest.mark.parametrize("gain", [0.0024, None])
def test_what_may_help_is_proposed(gain):
    assert "Try: give it more bits" in text_of(finding(gain))


@pytest.mark.parametrize(
    ("gains", "told"),
    [
        ([0.1, -0.1], "Nothing is badly wrong; 1 finding may be worth a try."),
        ([0.1, None, 0.0], "Nothing is badly wrong; 2 findings may be worth a try."),
        ([-0.1], "Nothing is badly wrong; 1 finding, and no change for it is predicted to help."),
        ([-0.1, 0], "Nothing is badly wrong; 2 findings, and no change for them is predicted to help."),
    ],
)  # fmt: skip
def test_what_would_not_help_is_not_counted(gains, told):
    assert _sentence([finding(gain) for gain in gains], LITTLE) == told


def test_where_much_is_lost_the_harmful_change_is_not_the_way():
    assert _sentence([finding(-0.1)], MUCH).endswith("try first: more bits.")
