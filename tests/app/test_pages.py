"""Every page opens, with nothing to show and with every kind of run."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import TABS, page_of

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")
PAGES = ("start", "images", "layers", "answers", "compare", "runs", "bring", "evidence")


def opened(page: str, *unfolded: str, **params: str) -> AppTest:
    """The page; `unfolded`: the parts of it, by their keys, that somebody has opened."""
    at = AppTest.from_file(MAIN, default_timeout=120)
    for part in unfolded:
        at.session_state[part] = True
    view, more = page_of(page)
    for name, value in (more | params).items():
        at.query_params[name] = value
    at.switch_page(f"views/{view}.py").run()
    assert not at.exception, at.exception[0].stack_trace
    return at


def texts(at: AppTest) -> str:
    kinds = (at.markdown, at.caption, at.subheader, at.title, at.info, at.warning, at.error)
    return "\n".join(str(one.value) for kind in kinds for one in kind)


@pytest.mark.parametrize("page", PAGES)
def test_page_opens_without_any_run(page: str, runs: Path) -> None:
    at = opened(page)
    if page in (*TABS, "compare"):
        assert "No run to look at" in texts(at)


@pytest.mark.parametrize("page", PAGES)
def test_page_opens_with_a_finished_run(page: str, finished: str) -> None:
    at = opened(page)
    count = {"start": 1, "images": 5, "layers": 3, "answers": 3, "evidence": 3}.get(page, 0)
    # What looks again while a cost is being asked for comes and goes.
    shown = [one for one in at.get("bidi_component") if one.key != "pulse-answers"]
    assert len(shown) == count


@pytest.mark.parametrize("page", ["images", "layers"])
def test_page_opens_with_a_run_of_a_network_without_batchnorm(
    page: str, finished: str, runs: Path
) -> None:
    file = runs / finished / "events.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [e | {key: [] for key in ("bn_layers", "bn_gap") if key in e} for e in lines]
    file.write_text("".join(f"{json.dumps(e)}\n" for e in lines))
    at = opened(page)
    assert "ended before" not in texts(at)
    if page == "images":
        assert "This network has no BatchNorm" in at.info[0].value
        assert len(at.get("bidi_component")) == 3  # neither the map nor the channels


@pytest.mark.parametrize("page", ["start", "images", "layers", "answers"])
def test_recorded_run_is_played_and_may_not_be_steered(
    page: str, runs: Path, tmp_path: Path
) -> None:
    fabricate(tmp_path / "recorded", Fabricated())
    at = opened(page)
    assert len(at.get("bidi_component")) >= 2
    assert all(button.label != "Resume this run" for button in at.button)


def test_unknown_run_is_explained(runs: Path) -> None:
    at = opened("images", run="nobody")
    assert "There is no run named 'nobody'" in at.error[0].value


@pytest.mark.parametrize("name", ["../../etc", "a/b", "%2e%2e"])
def test_wicked_run_name_is_explained(name: str, runs: Path) -> None:
    assert "There is no run named" in opened("images", run=name).error[0].value


def test_failed_run_says_what_and_what_to_do_and_can_be_resumed(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fabricate(runs, Fabricated(state="failed"))
    resumed: list[str] = []
    monkeypatch.setattr("engine.run.workers.launch.resume", lambda f: resumed.append(f.run_id))
    at = opened("images", run=folder.run_id)
    assert at.error[0].value == "Memory ran out. Take fewer images."
    at.button(key="resume").click().run()
    assert resumed == [folder.run_id]


@pytest.mark.parametrize("apart_s", [0, 1, 60])
def test_runs_of_one_title_are_told_apart_in_the_menu(
    apart_s: int, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [fabricate(runs, Fabricated(seed=seed)) for seed in (0, 1)]
    noon = time.mktime((2026, 1, 2, 12, 0, 0, 0, 0, 0))
    asked = {made[0].path: noon, made[1].path: noon + apart_s}
    monkeypatch.setattr(RunFolder, "asked_s", lambda folder: asked[folder.path])
    options = opened("images", run=made[0].run_id).selectbox(key="picked").options
    marks = {  # The coarsest that differs: the minute, the second, or else the address.
        0: [folder.run_id[-8:] for folder in made],
        1: ["12:00 00 s", "12:00 01 s"],
        60: ["· 02 Jan 12:00", "· 02 Jan 12:01"],
    }
    assert len(options) == 2
    assert all(any(option.endswith(mark) for option in options) for mark in marks[apart_s])


def test_lost_run_is_told_from_a_running_one(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="running"))
    folder.write_status("running", pid=2**22 + 1)
    assert "ended without a word" in opened("images", run=folder.run_id).error[0].value


def test_result_without_labels_claims_no_accuracy(runs: Path) -> None:
    fabricate(runs, Fabricated(labels=False))
    at = opened("answers")
    assert "no labels" in texts(at)
    assert all(metric.label != "Quantized top-1" for metric in at.metric)


def test_loss_within_the_bands_is_called_not_distinguishable(runs: Path) -> None:
    fabricate(runs, Fabricated(top1=0.915))
    assert "not distinguishable" in texts(opened("answers"))


def test_triad_compares_finished_runs_of_one_recipe(runs: Path) -> None:
    for synthesis, top1 in (("noise", 0.6), ("genie", 0.905), ("real", 0.91)):
        folder = fabricate(runs, Fabricated(synthesis=synthesis, top1=top1))
    at = opened("answers", run=folder.run_id)
    text = texts(at)
    assert "30.5 points better" in text
    assert "Genie and Real: **not distinguishable**" in text


def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    recipes: list[Any] = []

    def start(recipe: Any, runs: Path) -> None:
        recipes.append(recipe)
        raise UserError("not today")

    monkeypatch.setattr("engine.run.workers.launch.start", start)
    return recipes


def test_card_starts_its_recipe_and_a_refusal_is_shown(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    at = opened("start")
    at.button(key="card-nearest-2").click().run()
    assert (recipes[0].quantization, recipes[0].weight_bits) == ("nearest", 2)
    assert (recipes[0].images, recipes[0].synthesis_settings) == (16, {"steps": 7})
    assert at.error[0].value == "not today"


def test_missing_member_of_the_triad_is_one_click_away(
    finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    at = opened("answers", run=finished)
    at.button(key="triad-noise").click().run()
    assert (recipes[0].synthesis, recipes[0].quantization) == ("noise", "genie-m")


def test_run_that_broke_before_it_began_shows_why_and_no_empty_charts(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="failed"))
    last = folder.events_file.read_text().splitlines()[-1]
    folder.events_file.write_text(last + "\n")
    at = opened("images", run=folder.run_id)
    assert at.error[0].value.startswith("Memory ran out.")
    assert not at.subheader


def test_two_runs_are_compared_side_by_side(runs: Path) -> None:
    ids = [fabricate(runs, Fabricated(seed=seed)).run_id for seed in (0, 1)]
    at = opened("compare", "courses-more", runs=",".join(ids))
    assert "Same images: no; same quantizer: yes" in texts(at)
    assert len(at.get("bidi_component")) == 6  # accuracies, three courses, the maps, their ratio
    assert not at.get("button_group")  # equally many steps: there is nothing to choose between
    assert at.slider[0].max == 40
    rows = at.dataframe[0].value
    assert list(rows.index) == ["Seed"]
    assert list(rows.loc["Seed"]) == ["0", "1"]
    assert len(at.dataframe) == 1  # no image statistics, none of their numbers


def test_each_further_run_is_held_against_the_first(runs: Path) -> None:
    ids = [fabricate(runs, Fabricated(seed=seed)).run_id for seed in (0, 1, 2)]
    at = opened("compare", "courses-more", runs=",".join(ids))
    assert "**B and C against A**" in texts(at)
    assert len(at.get("bidi_component")) == 6  # accuracies, three courses, the maps, their ratios


def test_runs_of_different_lengths_are_compared_at_the_same_share_or_step(runs: Path) -> None:
    made = [fabricate(runs, Fabricated(seed=seed, steps=40 - 20 * seed)) for seed in (0, 1)]
    ids = ",".join(folder.run_id for folder in made)
    at = opened("compare", runs=ids)
    assert at.slider[0].label == "Share of the synthesis"
    at.slider[0].set_value(50).run()
    assert [words(at, letter) for letter in "AB"] == ["step 20 of 40", "step 10 of 20"]
    at = opened("compare", runs=ids, axis="step")
    assert (at.slider[0].label, at.slider[0].max) == ("Step", 40)
    at.slider[0].set_value(30).run()
    assert [words(at, letter) for letter in "AB"] == ["step 30 of 40", "step 20 of 20"]


def words(at: AppTest, letter: str) -> str:
    """What stands last below the film of a side."""
    found = [c.value for c in at.caption if f"[**{letter}**]" in c.value and "step" in c.value]
    return str(found[0].split(" · ")[-1])


def test_comparison_forgets_runs_that_are_gone(runs: Path, finished: str) -> None:
    at = opened("compare", runs=f"nobody,{finished}")
    assert at.multiselect[0].value == [finished]
    assert "Choose two runs or more" in at.info[0].value


def test_image_statistics_are_drawn_and_given_as_numbers(runs: Path) -> None:
    made = [fabricate(runs, Fabricated(seed=seed, statistics=True)) for seed in (0, 1)]
    parts = ("courses-more", "measures-more", "features-more")
    at = opened("compare", *parts, runs=",".join(folder.run_id for folder in made))
    # accuracies, courses 3, maps 2, spreads 2, features, classes, pairs 2, spectrum
    assert len(at.get("bidi_component")) == 13
    told = next(one.proto.body for one in at.get("html") if "<b>" in one.proto.body)
    rows = {
        row.split("<b>")[1].split("</b>")[0]: row
        for row in told.split("display:flex;flex-wrap")[1:]
    }
    for title, a, b in (
        ("Spread of per-image means", "0.300", "0.300"),
        ("Spread of per-image deviations", "0.200", "0.200"),
        ("Power in fine detail", "0.300", "0.300"),
    ):
        assert f"A</div>{a}<" in rows[title]
        assert f"B</div>{b}<" in rows[title]
    assert "lower: smoother" in rows["Power in fine detail"]
    assert "above 0.25 cycles a pixel" in rows["Power in fine detail"]


@pytest.mark.parametrize("page", PAGES)
def test_one_odd_folder_takes_no_page_down(page: str, runs: Path) -> None:
    """Whatever lies in one run's files, the others are seen."""
    sound = fabricate(runs, Fabricated())
    no_objects = ("{}", "[]", "null", "{", '{"state": "running"}')
    for seed, text in enumerate(no_objects):
        for k, name in enumerate(("status.json", "result.json", "recipe.json")):
            odd = fabricate(runs, Fabricated(seed=10 * (seed + 1) + k))
            (odd.path / name).write_text(text)
    at = opened(page)
    assert sound.path.is_dir()
    if page == "runs":
        assert texts(at).count("damaged") >= len(no_objects)


@pytest.mark.parametrize("left", ["null", '{"synthesis": "noise", "seed": {}}'])
def test_a_damaged_run_is_called_by_what_is_left_of_it(left: str, runs: Path) -> None:
    odd = fabricate(runs, Fabricated(quantization="nearest"))
    (odd.path / "recipe.json").write_text(left)
    images = "Noise" if "noise" in left else "Genie"
    at = opened("runs")
    assert f"**ResNet-20 · W4A4 · images: {images} · quantizer: NEAREST** · damaged" in texts(at)
    assert odd.run_id not in texts(at)
    assert "python" not in texts(at)


def test_a_damaged_run_is_deleted_by_its_button(runs: Path) -> None:
    odd = fabricate(runs, Fabricated())
    (odd.path / "recipe.json").write_text("null")
    at = opened("runs")
    at.button(key=f"delete-{odd.run_id}").click().run()
    assert not at.exception
    assert not odd.path.exists()


def test_runs_of_one_title_are_two_choices_to_compare(runs: Path) -> None:
    one = fabricate(runs, Fabricated(quantization="nearest"))
    twin = RunFolder.create(runs, dataclasses.replace(one.recipe, forked_from="r@9"))
    (twin.path / "events.jsonl").write_text(one.events_file.read_text())
    at = opened("runs", runs=f"{one.run_id},{twin.run_id}")
    (menu,) = [one for one in at.multiselect if one.key == "compare-runs"]
    assert len(set(menu.options)) == len(menu.options) == 2
    assert menu.value == [one.run_id, twin.run_id]
