"""A control that is made alike: the setting that is searched is found, and what was found is told."""

import json
import math

import pytest

from engine.run.benches.effects.quantizers import measure as measuring
from engine.run.benches.effects.quantizers.claims import QUANTIZER_CLAIMS
from engine.run.benches.effects.quantizers.matching import Match, nearest
from engine.run.benches.effects.verdicts import QUANTIZER_FILE, read

MATCH = Match(
    setting="spread", number="values:entropy", words="entropy", between=(0.01, 1.0), within=0.05
)
PWFN = next(claim for claim in QUANTIZER_CLAIMS if claim.name == "pwfn")


class Falling:
    """A number that falls as the setting grows, and the settings that it was asked at."""

    def __init__(self, steepness: float = 1.0) -> None:
        self.asked: list[float] = []
        self.steepness = steepness

    def __call__(self, value: float) -> float:
        self.asked.append(value)
        return -self.steepness * math.log10(value)  # 2 at 0.01, 0 at 1


@pytest.mark.parametrize("wanted", [0.13, 1.0, 1.77])
def test_the_search_ends_where_the_number_is_near_enough(wanted):
    number = Falling()
    found = nearest(wanted, number, MATCH)
    assert found.number == pytest.approx(wanted, abs=MATCH.within)
    assert found.number == pytest.approx(-math.log10(found.value))
    assert found.value == number.asked[-1]
    assert len(number.asked) <= 6


def test_what_another_seed_has_found_is_tried_first():
    number = Falling()
    assert nearest(1.5, number, MATCH, first=0.032).value == 0.032
    assert number.asked == [0.032]


@pytest.mark.parametrize("wanted", [5.0, -5.0])
def test_a_number_that_is_nowhere_gives_the_nearest_after_the_most_runs(wanted):
    number = Falling()
    found = nearest(wanted, number, MATCH)
    assert len(number.asked) == MATCH.most
    assert found.value == (min if wanted > 0 else max)(number.asked)


def test_a_measurement_tells_what_was_made_alike(monkeypatch, tmp_path):
    def value_of(one, runs, seed, key):
        sigma = one.settings.get(PWFN.match.setting)
        if key == PWFN.match.number:
            return 3.0 + 0.01 * seed if sigma is None else 3.0 - math.log2(sigma / 0.009)
        return 1.0 if sigma is None else 2.0 + sigma

    monkeypatch.setattr(measuring, "value_of", value_of)
    measuring.quantizers(tmp_path, tmp_path / QUANTIZER_FILE, (0, 1), claims=[PWFN])
    row = read(tmp_path, QUANTIZER_FILE)["claims"][0]
    alike = row["alike"]
    assert alike["method"] == [3.0, 3.01]
    assert alike["baseline"] == pytest.approx([3.0, 3.0], abs=PWFN.match.within)
    assert alike["constant_sigma"] == pytest.approx([0.009, 0.009], rel=0.05)
    assert row["values"]["baseline"] == [2.0 + value for value in alike["constant_sigma"]]
    assert row["values"]["method"] == [1.0, 1.0]
    kept = json.loads((tmp_path / QUANTIZER_FILE).read_text())["claims"][0]
    assert PWFN.compared().items() <= kept.items()  # so that a page says it in today's words
