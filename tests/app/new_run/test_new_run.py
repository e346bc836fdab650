"""The dialog of a new run: it starts what it shows, marks what was changed, and stays until it is closed."""

import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.engine_calls.background import Answer
from app.panels.new_run import value_words
from app.panels.new_run.bits_table import unlike
from app.panels.new_run.draft import open_draft, recipe_fields
from app.panels.new_run.groups import changed_words
from app.panels.new_run.variants import layer_at
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import EDGE_RULES, make_recipe
from tests.app.conftest import CATALOG
from tests.app.test_pages import opened, started, texts

STEPS = "knob-1-synthesis-genie-quick-steps"


def dialog(page: str = "runs", *, expert: bool = False, **params: str) -> AppTest:
    """The dialog, opened by the button that stands above every page."""
    at = opened(page, **params)
    at.button(key="new-run-open").click().run()
    if expert:
        at.button_group(key="new-1-mode").set_value("Expert").run()
    assert not at.exception, at.exception[0].stack_trace
    return at


@pytest.mark.parametrize("page", ["start", "images", "runs", "evidence", "networks", "compare"])
def test_dialog_opens_above_every_page(page: str, runs: Path) -> None:
    assert dialog(page).selectbox(key="new-1-model").value == "resnet20-fashion"


def test_dialog_starts_what_it_shows(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = started(monkeypatch)
    at = dialog(expert=True)
    at.slider(key="new-1-weight_bits").set_value(3).run()
    at.number_input(key=STEPS).set_value(11).run()
    at.number_input(key="new-1-seed").set_value(5).run()
    at.button(key="new-start").click().run()
    assert (recipes[0].weight_bits, recipes[0].seed) == (3, 5)
    assert recipes[0].synthesis_settings == {"steps": 11}


def test_what_is_being_moved_is_not_told_where_to_stand(runs: Path) -> None:
    """Else a slow page puts a slider back to where it was when it was last asked."""
    at = dialog(expert=True)
    at.slider(key="new-1-weight_bits").set_value(3).run()
    inputs = (at.slider, at.number_input, at.text_input, at.selectbox)
    own = [one for kind in inputs for one in kind if str(one.key).startswith(("new-", "knob-"))]
    assert len(own) > 8
    assert [one.key for one in own if one.proto.set_value] == []


def test_a_weight_has_1_bit_where_the_quantizer_has_levels_for_it(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    binary = CATALOG["quantization"][0] | {"name": "binary", "fewest_weight_bits": 1}
    wider = CATALOG | {"quantization": [*CATALOG["quantization"], binary]}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: wider)
    at = dialog()
    bits = "new-1-weight_bits"
    at.selectbox(key="new-1-quantization").set_value("binary").run()
    assert (at.slider(key=bits).min, at.slider(key="new-1-activation_bits").min) == (1, 2)
    at.slider(key=bits).set_value(1).run()
    at.button(key="new-start").click().run()
    assert recipes[0].weight_bits == 1
    at = dialog()
    at.selectbox(key="new-1-quantization").set_value("binary").run()
    at.slider(key=bits).set_value(1).run()
    at.selectbox(key="new-1-quantization").set_value("nearest").run()
    assert not at.exception
    assert (at.slider(key=bits).min, at.slider(key=bits).value) == (2, 2)


def test_what_an_expert_changed_stays_in_force_and_is_said_where_it_is_not_shown(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    at = dialog(expert=True)
    at.number_input(key=STEPS).set_value(11).run()
    at.button_group(key="new-1-mode").set_value("Basic").run()
    assert "1 setting differs" in texts(at)
    at.button_group(key="new-1-preset").set_value("standard").run()
    at.button(key="new-start").click().run()
    assert (recipes[0].preset, recipes[0].synthesis_settings) == ("standard", {"steps": 11})


def test_a_changed_setting_goes_back_at_a_press(runs: Path) -> None:
    at = dialog(expert=True)
    assert not [one for one in at.button if one.key == f"{STEPS}-reset"]
    at.number_input(key=STEPS).set_value(11).run()
    assert "back to 7" in at.button(key=f"{STEPS}-reset").label
    at.button(key=f"{STEPS}-reset").click().run()
    assert at.number_input(key=STEPS).value == 7
    assert not [one for one in at.button if one.key == f"{STEPS}-reset"]


def test_a_group_says_what_was_changed_in_it_and_is_open_where_anything_was(runs: Path) -> None:
    at = dialog(expert=True)
    assert groups(at) == {}
    at.number_input(key=STEPS).set_value(11).run()
    assert groups(at) == {"synthesis": "1 changed"}  # at once, not at the next press
    at.button(key=f"{STEPS}-reset").click().run()
    assert groups(at) == {}


def test_bits_that_a_recipe_brings_along_are_seen(runs: Path) -> None:
    draft = open_draft(CATALOG, {"quantization_settings": {"bits": {"weight_bits": {"fc": 3}}}}, 1)
    assert changed_words(draft)["bits"] == "1 layer changed"
    draft.bits["activation_bits"] = {"conv1": 4, "fc": 4}
    assert changed_words(draft)["bits"] == "2 layers changed"


def groups(at: AppTest) -> dict[str, str]:
    """The groups that are marked, and what stands there."""
    styles = " ".join(one.proto.body for one in at.get("html"))
    return dict(re.findall(r'-group-(\w+) summary::after { content: "([^"]+)"', styles))


def test_dialog_stays_open_while_its_page_draws_itself_anew(runs: Path) -> None:
    at = dialog(expert=True)
    at.number_input(key=STEPS).set_value(11).run()
    at.run()
    assert at.number_input(key=STEPS).value == 11


def test_the_page_looks_again_for_what_the_dialog_awaits(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock of the dialog's own would empty the page that Start leads to."""
    answer = Answer()
    live: list[str] = []
    monkeypatch.setattr("app.panels.new_run.estimate.estimate", lambda recipe: answer)
    monkeypatch.setattr(
        "app.panels.new_run.estimate.diagnosis", lambda recipe: Answer(value={"findings": []})
    )
    monkeypatch.setattr("app.panels.new_run.estimate.findings_for", lambda known, recipe: [])
    monkeypatch.setattr(
        "app.engine_calls.background.mount.pulse", lambda **told: live.append(told["key"])
    )
    at = dialog()
    assert "being measured" in texts(at)
    assert "pulse-new-run" in live
    live.clear()
    answer = Answer(error="it cannot be told")
    at.slider(key="new-1-weight_bits").set_value(3).run()
    assert "being measured" not in texts(at)
    assert "pulse-new-run" not in live
    assert not [file for file in Path("app").rglob("*.py") if "run_every" in file.read_text()]


def test_a_run_s_recipe_filled_in_is_the_same_run(finished: str, runs: Path) -> None:
    recipe = RunFolder.open(runs, finished).recipe
    draft = open_draft(CATALOG, recipe_fields(recipe), 1)
    assert draft.expert
    assert draft.changed("synthesis") == {"steps": 40}
    assert make_recipe(CATALOG, **draft.complete()).run_id == recipe.run_id


def test_what_the_catalog_does_not_know_any_more_is_left_out(runs: Path) -> None:
    old = {"synthesis": "gone", "synthesis_settings": {"steps": 3},
           "quantization": "genie-m", "quantization_settings": {"steps": 3, "gone": 1}}  # fmt: skip
    draft = open_draft(CATALOG, old, 1)
    assert draft.wanted["synthesis"] == "genie"
    assert (draft.changed("synthesis"), draft.changed("quantization")) == ({}, {"steps": 3})
    assert make_recipe(CATALOG, **draft.complete()).quantization_settings["steps"] == 3


def test_one_layer_at_8_bits_is_the_recipe_with_that_alone(finished: str, runs: Path) -> None:
    recipe = RunFolder.open(runs, finished).recipe
    draft = open_draft(CATALOG, layer_at(recipe, "fc", 8), 1)
    made = make_recipe(CATALOG, **draft.complete())
    assert made.quantization_settings.pop("bits")["weight_bits"] == {"fc": 8}
    assert made.quantization_settings == recipe.quantization_settings
    again = open_draft(CATALOG, layer_at(recipe, "fc", 8), 2).bits
    assert open_draft(CATALOG, layer_at(recipe, "conv1", 6), 3).bits != again


def test_the_table_of_bits_gives_only_what_is_unlike_the_recipe() -> None:
    layers = [
        {"path": "conv1", "weight_bits": 8, "activation_bits": None},
        {"path": "fc", "weight_bits": 4, "activation_bits": 4},
    ]
    as_is = [{"Weights": 8, "Input": None}, {"Weights": 4, "Input": 4}]
    assert unlike(layers, as_is) == {}
    written = [
        {"Weights": 8, "Input": 3},
        {"Weights": None, "Input": 6},
    ]  # the image stays as it is
    assert unlike(layers, written) == {"weight_bits": {}, "activation_bits": {"fc": 6}}


def test_no_rule_of_the_edges_is_told_by_its_name() -> None:
    assert set(value_words.EDGES) == set(EDGE_RULES)
    assert not any(
        name in " ".join(value_words.EDGES.values()).lower() for name in ("brecq", "qdrop")
    )


def genie_of_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    presets = {"paper": "", "standard": "", "quick": ""}
    folder = {"name": "folder", "type": "str", "default": "", "label": "Folder", "help": "",
              "low": None, "high": None, "choices": [], "presets": presets}  # fmt: skip
    genie = next(one for one in CATALOG["synthesis"] if one["name"] == "genie")
    catalog: dict[str, Any] = CATALOG | {"synthesis": [genie | {"settings": [folder]}]}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)


def test_dialog_asks_for_the_folder_before_it_starts(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    genie_of_a_folder(monkeypatch)
    (tmp_path / "one.png").write_bytes(b"x")
    at = dialog()
    assert "Give the folder" in at.warning[0].value
    assert not at.error
    assert at.button(key="new-start").disabled
    at.text_input(key="knob-1-synthesis-genie-quick-folder").set_value(str(tmp_path)).run()
    assert not at.warning
    at.button(key="new-start").click().run()
    assert recipes[0].synthesis_settings == {"folder": str(tmp_path)}


def test_dialog_executes_no_file_of_whoever_opens_the_page(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    genie_of_a_folder(monkeypatch)
    at = dialog()
    field = at.text_input(key="knob-1-synthesis-genie-quick-folder")
    field.set_value("/a/faces.py:draw").run()
    at.button(key="new-start").click().run()
    assert "'/a/faces.py:draw' would execute a file" in at.error[0].value
    assert "\n" not in at.error[0].value
    assert not recipes


def test_dialog_says_why_a_method_cannot_work_and_does_not_start_it(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CATALOG["models"][0] | {"calibration_images": False}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: CATALOG | {"models": [model]})
    at = dialog()
    menu = at.selectbox(key="new-1-synthesis")
    assert menu.options == ["Genie", "Noise", "Real (not for this network)"]
    assert not at.button(key="new-start").disabled
    menu.set_value("real").run()
    assert "it needs real images" in at.warning[0].value
    assert at.button(key="new-start").disabled


def pace_of_steps(seconds: float) -> dict[str, Any]:
    """A pace as the engine measures it: every step of the synthesis takes so long, and all else a second."""
    return {
        "synthesis": {
            "step_s": [seconds, 0.0], "planned": [7, 7], "asked": 7, "busy": 1.0, "memory_mb": [100.0, 1.0],
        },
        "quantization": {
            "load_s": 1.0, "forward_s": 0.0, "images": 16, "weights_s": 0.0, "once_s": 1.0,
            "bits_s": 0.0, "bits_once_s": 0.0,
            "learned": [], "asked": 0, "batch": 16, "test_images": 10, "busy": 1.0, "memory_mb": 50.0,
            "held_mb": 0.1, "start_mb": 100.0,
        },
    }  # fmt: skip


def test_a_time_chooses_images_and_steps_and_says_that_they_differ(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = pace_of_steps(0.5)
    monkeypatch.setattr("app.panels.new_run.in_time.pace_of", lambda recipe: Answer(value=pace))
    recipes = started(monkeypatch)
    at = dialog()
    at.button_group(key="new-1-within").set_value(30).run()
    assert not at.exception
    assert "differ" in texts(at)
    assert (
        at.button_group(key="new-2-within").value is None
    )  # the dialog is that of the recipe that fits
    at.button(key="new-start").click().run()
    took_s = (
        3 + 1 + 1 + 0.5 * recipes[0].synthesis_settings["steps"]
    )  # worker, network, once, steps
    assert 26 <= took_s <= 30


def test_a_time_in_which_nothing_fits_says_the_least(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = pace_of_steps(100.0)
    monkeypatch.setattr("app.panels.new_run.in_time.pace_of", lambda recipe: Answer(value=slow))
    at = dialog()
    at.button_group(key="new-1-within").set_value(30).run()
    assert "not 30 s; give it that" in at.warning[0].value


def test_a_network_without_batchnorm_begins_with_images_that_can_be_made_for_it(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chosen in the menu, and given by the page that opens the dialog; a choice of one's own stays."""
    usual = CATALOG["models"][0] | {"batchnorm_layers": 19}
    bare = usual | {"name": "vit", "title": "ViT", "batchnorm_layers": 0}
    needy = [
        one | {"needs": ["batchnorm"] * (one["name"] == "genie")} for one in CATALOG["synthesis"]
    ]
    catalog = CATALOG | {"models": [usual, bare], "synthesis": needy}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    at = dialog()
    assert at.selectbox(key="new-1-synthesis").value == "genie"
    at.selectbox(key="new-1-model").set_value("vit").run()
    assert at.selectbox(key="new-1-synthesis").value == "noise"
    assert not at.button(key="new-start").disabled

    def begun(**wanted: str) -> Any:
        return open_draft(catalog, wanted, 1).wanted["synthesis"]

    assert begun(model="vit") == "noise"
    assert begun(model="resnet20-fashion") == "genie"
    assert begun(model="vit", synthesis="genie") == "genie"  # and the dialog says why it cannot


def test_the_effort_stays_where_its_switch_tells_nothing():
    """As it may while the form is drawn anew under a quick hand: the budgets are then still known."""

    def page():
        from types import SimpleNamespace

        import streamlit as st

        from app.panels.new_run.form import _how_few

        wanted = {
            "quantization": "nearest",
            "weight_bits": 4,
            "activation_bits": 8,
            "preset": "quick",
        }
        _how_few({"quantization": [{"name": "nearest"}]}, SimpleNamespace(number=1, wanted=wanted))
        st.text(f"effort: {wanted['preset']}")

    at = AppTest.from_function(page)
    at.session_state["new-1-preset"] = None
    at.run()
    assert not at.exception
    assert [one.value for one in at.text] == ["effort: quick"]
