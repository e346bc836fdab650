"""Where the float network gives one class alone, an agreement is unclear only while it is high."""

import pytest

from engine.run.commands.printed import tables
from engine.run.stages.judging.one_class import says_little

RESULT = {"agreement": 0.0, "agreement_band": [0.0, 0.0876], "answers": 1}


def test_every_image_flipped_is_the_headline():
    told = tables._agreement(RESULT)
    assert "unclear" not in told
    assert told.startswith("0.00\u00a0%")
    assert "one class alone" in told


@pytest.mark.parametrize(
    ("agreement", "answers", "little"),
    [(1.0, 1, True), (0.95, 1, True), (0.5, 1, False), (0.0, 1, False), (1.0, 2, False),
     (None, 1, False), (1.0, None, False)],
)  # fmt: skip
def test_only_a_high_agreement_on_one_class_says_little(agreement, answers, little):
    values = {"agreement": agreement, "answers": answers, "agreement_band": [0.0, 1.0]}
    assert says_little(values) is little
    assert tables._agreement(values).startswith("unclear") is little
