"""Levels of a layer's error, found from what layers of measured runs cost."""

import json
from pathlib import Path

import pytest

from engine.run.benches.outcomes import DOZEN, Outcome, levels, outcomes_of, read

ASSETS = Path(__file__).parents[3] / "assets"


def layers(db: float, costly: int, count: int = DOZEN) -> list[Outcome]:
    return [Outcome(sqnr_db=db, gain=0.02, low=0.01 if k < costly else -0.01) for k in range(count)]


def test_good_begins_where_no_layer_costs_and_bad_ends_where_half_do() -> None:
    found = levels([*layers(5, 12), *layers(10, 6), *layers(15, 2), *layers(20, 0), *layers(30, 0)])
    assert found is not None
    assert (found.good, found.bad) == (20, 15)
    assert (found.below, found.between, found.above) == (0.75, pytest.approx(2 / 12), 0.0)
    assert found.layers == 5 * DOZEN


def test_many_good_layers_far_above_do_not_hide_those_that_cost() -> None:
    found = levels([*layers(5, 12), *layers(18, 3), *layers(20, 0), *layers(45, 0, 500)])
    assert found is not None
    assert found.good == 20


def test_too_few_layers_make_no_level() -> None:
    assert levels(layers(30, 0, DOZEN - 1)) is None
    assert levels(layers(30, 0)) is None  # nothing is known of bad ones
    assert levels([]) is None


def test_the_shipped_table_makes_the_two_levels_and_names_what_it_rests_on() -> None:
    result = read(ASSETS)
    assert result is not None
    found = levels(outcomes_of(result))
    assert found is not None
    assert found.bad <= found.good
    assert found.below >= found.between >= found.above
    assert len({run["model"] for run in result["runs"]}) > 1


def test_a_torn_file_is_none(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    (tmp_path / "outcomes.json").write_text(json.dumps({"runs": [{"layers": [{}]}]}))
    assert read(tmp_path) is None
