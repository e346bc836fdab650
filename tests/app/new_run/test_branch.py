"""What if: the parts of a method that a button can switch off."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.panels.head.what_if import parts_of
from engine.run.folders.folder import RunFolder
from tests.app.conftest import CATALOG
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, started


def described(name: str, default: Any, *off: Any, within: str = "") -> dict[str, Any]:
    presets = dict.fromkeys(("paper", "standard", "quick"), default)
    return {
        "name": name, "type": type(default).__name__, "default": default, "label": name.title(),
        "help": "", "low": None, "high": None, "choices": [], "presets": presets, "off": [*off],
        "within": within,
    }  # fmt: skip


PARTS = [
    described("steps", 40),
    described("weight", 1.0, 0.0),
    described("slack", 2.0, 0.0, within="weight"),
    described("margin", 0.1, 2.0, within="slack"),
    described("swing", True, False),
    described("optimise", "both", "pixels", "generator"),
]
CHOSEN = {knob["name"]: knob["default"] for knob in PARTS}


def names(**chosen: Any) -> list[tuple[str, Any]]:
    return [(knob["name"], off) for knob, off in parts_of(PARTS, CHOSEN | chosen)]


def test_each_part_that_is_on_has_each_way_to_be_off() -> None:
    assert names() == [
        ("weight", 0.0), ("slack", 0.0), ("margin", 2.0), ("swing", False),
        ("optimise", "pixels"), ("optimise", "generator"),
    ]  # fmt: skip
    assert ("swing", False) not in names(swing=False)
    assert not {"optimise"} & {name for name, _ in names(optimise="generator")}


def test_what_is_within_a_part_that_is_off_is_off_too() -> None:
    assert [name for name, _ in names(slack=0.0)][:2] == ["weight", "swing"]
    assert [name for name, _ in names(weight=0)][:1] == ["swing"]


def test_an_older_run_or_catalog_that_does_not_say_is_left_alone() -> None:
    assert parts_of(PARTS, {"steps": 40, "swing": True}) == [(PARTS[4], False)]
    older = [{k: v for k, v in knob.items() if k not in ("off", "within")} for knob in PARTS]
    assert parts_of(older, CHOSEN) == []


def test_a_button_starts_the_same_recipe_with_that_part_off(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genie = next(one for one in CATALOG["synthesis"] if one["name"] == "genie")
    others = [one for one in CATALOG["synthesis"] if one["name"] != "genie"]
    catalog = CATALOG | {"synthesis": [genie | {"settings": PARTS}, *others]}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    monkeypatch.setattr("tests.app.fabricate.SETTINGS", {"synthesis_settings": CHOSEN})
    recipes = started(monkeypatch)
    folder = fabricate(runs, Fabricated())
    at = opened("images", run=folder.run_id)
    labels = [one.label for one in at.button if str(one.key).startswith("ablate-")]
    assert labels == [
        "Weight", "Slack", "Margin: 2", "Swing", "Optimise: pixels", "Optimise: generator",
    ]  # fmt: skip
    at.button(key="ablate-synthesis-optimise-generator").click().run()
    (recipe,) = recipes
    assert recipe.synthesis_settings == CHOSEN | {"optimise": "generator"}
    same = ("seed", "images", "quantization", "weight_bits", "preset")
    assert all(getattr(recipe, name) == getattr(folder.recipe, name) for name in same)


def test_a_run_that_was_started_a_moment_ago_stands_beside_the_other(runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    settings = folder.recipe.synthesis_settings | {"swing": False}
    other = RunFolder.create(runs, replace(folder.recipe, synthesis_settings=settings))
    other.write_status("queued")
    RunFolder.create(runs, replace(folder.recipe, seed=7))
    at = opened("compare", runs=f"{folder.run_id},{other.run_id}")
    assert at.multiselect[0].value == [folder.run_id, other.run_id]
    assert list(at.dataframe[0].value.index) == ["Images from: swing"]
    assert len(at.multiselect[0].options) == 2  # what has not begun is offered to nobody else


def test_a_setting_that_came_after_the_run_stands_at_its_default() -> None:
    def page() -> None:
        import streamlit as st

        from app.panels.new_run.knobs import knobs
        from tests.app.new_run.test_branch import PARTS

        st.text(str(knobs(PARTS[:2], {PARTS[0]["name"]: 2.0}, key="older")))

    at = AppTest.from_function(page).run()
    assert not at.exception
    assert at.text[0].value == "{}"
    slack = at.text_input(key=f"knob-older-{PARTS[1]['name']}")
    slack.set_value("7").run()
    assert at.text[0].value == str({PARTS[1]["name"]: 7.0})
