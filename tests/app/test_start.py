"""The start page: the film with what is seen in it, the slider, cards that know their cost and their runs."""

import dataclasses
import json
from pathlib import Path

import pytest

from app.engine_calls.background import Answer
from app.panels.start.bits import with_errors
from app.presets import CARDS
from app.run_files.run_folders import recorded_run
from engine.run.recipes.recipe import Recipe, make_recipe
from tests.app.conftest import CATALOG, STEPS
from tests.app.fabricate import Fabricated, fabricate
from tests.app.known_pace import PACE
from tests.app.test_pages import opened, started, texts

RECORDED = Path(__file__).parents[2] / "assets" / "recorded"
NEAREST = next(card for card in CARDS if card.name == "nearest-2")


def card_run(runs: Path) -> str:
    """The id of a finished run, in this folder, of the card that rounds to the nearest."""
    recipe = make_recipe(CATALOG, **NEAREST.wanted)
    made = fabricate(runs, Fabricated(quantization="nearest"))
    made.path.rename(runs / recipe.run_id)
    (runs / recipe.run_id / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe)))
    return recipe.run_id


def test_a_card_says_time_and_memory_before_anything_is_started(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "engine.run.questions.before_a_run.estimate.kept_pace", lambda runs, recipe: PACE
    )
    text = texts(opened("start"))
    assert "GB of memory" in text
    assert "about **" in text


def test_a_card_whose_pace_cannot_be_measured_says_why_and_starts_all_the_same(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "app.panels.start.cards.estimate", lambda recipe: Answer(error="nothing *here*")
    )
    recipes = started(monkeypatch)
    at = opened("start")
    assert "nothing \\*here\\*" in texts(at)
    at.button(key="card-nearest-2").click().run()
    assert [recipe.quantization for recipe in recipes] == ["nearest"]


def test_nothing_is_measured_beside_a_run_at_work(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def pace(recipe: Recipe) -> Answer:
        asked.append(recipe.quantization)
        return Answer(error="")

    monkeypatch.setattr("app.engine_calls.diagnoses.pace_of", pace)
    for number, state in enumerate(("failed", "paused")):  # they compute nothing
        fabricate(runs, Fabricated(state=state, seed=1 + number))
        opened("start")
        assert asked
        asked.clear()
    fabricate(runs, Fabricated(state="running"))
    assert "A run is at work. New run measures it here." in texts(opened("start"))
    assert asked == []


def test_a_card_of_a_finished_run_opens_it_and_starts_nothing(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = card_run(runs)
    recipes = started(monkeypatch)
    at = opened("start")
    assert "It ran here" in texts(at)
    assert not [button for button in at.button if button.key == "card-nearest-2"]
    at.button(key="open-nearest-2").click().run()
    assert at.query_params["run"] == run
    assert at.query_params["tab"] == "layers"
    assert recipes == []


def test_a_card_of_a_shipped_run_opens_it_and_offers_to_run_it_here(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = card_run(tmp_path / "recorded")
    recipes = started(monkeypatch)
    at = opened("start")
    assert "It comes with the project" in texts(at)
    assert at.button(key="card-nearest-2").label == "Run it here"
    at.button(key="card-nearest-2").click().run()
    assert [recipe.run_id for recipe in recipes] == [run]
    at.button(key="open-nearest-2").click().run()
    assert at.query_params["run"] == run


def test_a_shipped_run_is_its_card_s_though_a_setting_came_after_it(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it stands at usually is what the run was made with."""
    card_run(tmp_path / "recorded")
    usual = dict.fromkeys(("quick", "standard", "paper"), "none")
    later = STEPS[0] | {
        "name": "activation_zero",
        "type": "choice",
        "default": "none",
        "presets": usual,
    }
    later |= {"choices": ["none", "searched"], "low": None, "high": None}
    newer = [one | {"settings": [*one["settings"], later]} for one in CATALOG["quantization"]]
    catalog = CATALOG | {"quantization": newer}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    assert make_recipe(catalog, **NEAREST.wanted).quantization_settings["activation_zero"] == "none"
    at = opened("start")
    assert at.button(key="open-nearest-2").label == "Open it"
    assert at.button(key="card-nearest-2").label == "Run it here"


def test_the_first_card_is_the_run_that_the_page_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUANTOSCOPE_RECORDED", str(RECORDED))
    recorded = recorded_run()
    assert recorded is not None
    told, wanted = recorded.recipe, CARDS[0].wanted
    for name in ("model", "synthesis", "quantization", "weight_bits", "activation_bits", "images"):
        assert getattr(told, name) == wanted[name]
    assert told.synthesis_settings.items() >= wanted["synthesis_settings"].items()
    assert told.preset == wanted["preset"]


def test_the_shipped_film_is_told_tile_by_tile_and_real_images_stand_beside(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUANTOSCOPE_RECORDED", str(RECORDED))
    at = opened("start")
    assert "What it was trained on" in texts(at)
    assert "half their size" in texts(at)
    shown = [str(one.key).partition("-")[0] for one in at.get("bidi_component")]
    assert [one for one in shown if one != "pulse"] == ["film", "gap", "trained", "bits"]


def test_another_recorded_run_is_played_without_the_words_of_the_shipped_one(
    runs: Path, tmp_path: Path
) -> None:
    fabricate(tmp_path / "recorded", Fabricated())
    assert "What it was trained on" not in texts(opened("start"))


def test_the_error_of_a_layer_is_the_same_share_here_as_on_the_run_s_page() -> None:
    stops = [{"bits": 2, "weakest": {"path": "fc", "sqnr_db": 20.0}}]
    found = with_errors({"title": "net", "roundings": {"nearest": stops}})
    assert found["roundings"]["nearest"][0]["weakest"] == {
        "path": "fc", "sqnr_db": 20.0, "error": pytest.approx(0.1),
    }  # fmt: skip
    assert found["title"] == "net"
