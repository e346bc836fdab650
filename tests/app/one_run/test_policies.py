"""Rounding policies at work: their pictures from events, and their place on the page."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from app.charts.bindings import extended
from app.charts.views import CHARTS
from app.panels.layers.at_work.policy import QUESTIONS, forms_of, takes_steps
from app.panels.layers.at_work.view_words import words
from app.run_files.history import read_history
from app.text import explain
from engine.quantization import discover_methods
from engine.run.recipes.recipe import Recipe
from tests.app.fabricate import FORM_OF, Fabricated, fabricate, look
from tests.app.test_pages import opened, texts


def events(form: str, *steps: int, what: str = "block") -> list[dict[str, Any]]:
    made = [look(form, "block", step, what) for step in steps]
    return [{"kind": "viewed", "part": "block"} | {
        name: getattr(one, name) for name in ("form", "what", "step", "arrays", "values")
    } for one in made]  # fmt: skip


def test_roundings_show_the_latest_look_beside_the_first() -> None:
    figure = extended(CHARTS["soft-rounding"](), events("soft-rounding", 3, 15, 30)).figure
    now, began, decided = figure["data"]
    assert now["y"] == [0.5, 0, 0.5]
    assert began["y"] == [0.05, 0.9, 0.05]
    assert (decided["x"], decided["y"]) == ([3, 15, 30], [0.1, 0.5, 1.0])


def test_the_next_block_begins_anew() -> None:
    both = events("soft-rounding", 3) + events("soft-rounding", 15, what="another")
    figure = extended(CHARTS["soft-rounding"](), both).figure
    assert figure["layout"]["title"]["text"] == "another"
    assert figure["data"][1]["y"] == [0.25, 0.5, 0.25]
    assert figure["data"][2]["x"] == [15]


def test_a_path_shows_its_error_beside_nearest_and_levels_as_lines() -> None:
    figure = extended(CHARTS["path"](), events("path", 3)).figure
    assert figure["data"][0]["y"] == [0.2, 0.5]
    assert figure["data"][1]["y"] == [0.1, 0.2]
    assert figure["data"][3]["y"] == [0.25, None]
    assert figure["layout"]["yaxis2"]["tickvals"] == [-0.25, 0, 0.25]
    without = events("path", 6)
    del without[0]["arrays"]["levels"]
    later = extended(CHARTS["path"](), events("path", 3) + without).figure
    assert later["layout"]["yaxis2"]["tickvals"] == []


def test_levels_leave_a_trail_turn_by_turn() -> None:
    figure = extended(CHARTS["levels"](), events("levels", 3, 6)).figure
    course = figure["data"][1]
    assert course["x"] == [-0.9, 0.9, -0.8, 0.8]
    assert course["y"] == [3, 3, 6, 6]
    assert figure["layout"]["xaxis"]["tickvals"] == [-0.8, 0.8]


def test_borders_stand_beside_one_half() -> None:
    figure = extended(CHARTS["borders"](), events("borders", 3)).figure
    by_name = {trace["name"]: trace["y"] for trace in figure["data"]}
    assert by_name["nearest rounding"] == [0.5, 0.5]
    assert by_name["highest channel"] == [0.6, 0.7]
    assert by_name["channel sample 1"] == []  # fewer channels than could be drawn


def test_every_form_has_a_picture_and_words() -> None:
    announced = {form for cls in discover_methods().values() for form in cls.card.shows}
    assert announced == set(CHARTS) == set(QUESTIONS)
    for form in CHARTS:
        assert words(form, events(form, 3, 6))
        assert explain(form)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"turn": 3.0, "planes": 3.0, "mse": 0.25}, "its first 3 bits read"),
        (
            {"turn": 3.0, "alpha": 2.5, "pruned": 0.4, "mse": 0.25},
            "2.50 standard deviations: 40\u00a0%",
        ),
    ],
)
def test_levels_are_told_by_what_they_depend_on(values: dict[str, float], told: str) -> None:
    seen = events("levels", 3)
    seen[-1]["values"] = values
    assert told in words("levels", seen)


def test_taps_stand_before_the_split_and_now() -> None:
    figure = extended(CHARTS["taps"](), events("taps", 3, 6)).figure
    before, _, now, outer = figure["data"]
    assert before["y"] == now["y"] == [0.3, 0.4, 0.3]
    assert outer["y"] == [0.0, 1.0, 0.0]


def test_slopes_are_drawn_over_the_training() -> None:
    figure = extended(CHARTS["slopes"](), events("slopes", 3)).figure
    assert (figure["data"][0]["x"], figure["data"][0]["y"]) == ([1, 2], [2.0, 1.0])


def test_widths_stand_before_and_after_the_training() -> None:
    seen = events("widths", 3)
    before, after = extended(CHARTS["widths"](), seen).figure["data"]
    assert (before["x"], before["y"]) == ([8, 3], [0.9, 0.5])
    assert after["y"][0] == 0.9
    assert after["y"][1] > 0.5
    assert "3 bits 50.0\u00a0% → " in words("widths", seen)
    assert "right, on 1,000 images" in words("widths", seen)
    seen[-1]["values"]["labelled"] = 0.0
    assert "of the float network's opinion" in words("widths", seen)


def test_free_weights_stand_above_the_values_that_hold_the_others() -> None:
    figure = extended(CHARTS["fixing"](), events("fixing", 3, 6)).figure
    free, held, course = figure["data"]
    assert free["y"] == [0.2, 0.2]
    assert dict(zip(held["x"], held["y"], strict=True)) == {0: 0.4, 0.5: 0.2}
    assert list(zip(course["y"], course["x"], strict=True)) == [(1, 0), (2, 0), (2, 0.5)]
    assert "60.0\u00a0% of the weights are fixed, to 2 values" in words(
        "fixing", events("fixing", 3)
    )


def test_three_orders_are_drawn_over_the_columns() -> None:
    figure = extended(CHARTS["orders"](), events("orders", 3)).figure
    drawn = {trace["name"]: (trace["x"], trace["y"]) for trace in figure["data"]}
    assert drawn["strongest inputs first"] == ([0.5, 1], [0.1, 0.2])
    assert drawn["largest weights first"] == ([0.5, 1], [0.1, 0.3])
    assert drawn["at random"] == ([0.5, 1], [0.2, 0.4])


def test_mixed_bits_show_the_quantizer_behind_them(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = read_history(fabricate(runs, Fabricated()))
    gpfq = {"quantization": [{"name": "gpfq", "shows": ["path"]}]}
    monkeypatch.setattr("app.panels.layers.at_work.policy.load_catalog", lambda: gpfq)
    recipe = Recipe(
        model="m", synthesis="s", quantization="mixed", quantization_settings={"rounding": "gpfq"}
    )
    assert forms_of(recipe, history) == ("path",)
    assert takes_steps(recipe)
    still = dataclasses.replace(recipe, quantization_settings={"rounding": "nearest", "steps": 0})
    assert not takes_steps(still)
    assert not takes_steps(dataclasses.replace(still, quantization="nearest"))


@pytest.mark.parametrize("name", FORM_OF)
def test_the_page_shows_the_policy_and_goes_back_in_time(name: str, runs: Path) -> None:
    folder = fabricate(runs, Fabricated(quantization=name, views=True))
    form = FORM_OF[name]
    assert not opened("layers", run=folder.run_id).slider  # for who opens it
    at = opened("layers", **{"run": folder.run_id, f"{form}-block": "fc"})
    key = f"policy-{form}-{folder.run_id}-fc"  # the block with the weakest layer stands first
    slider = at.slider(key=key)
    assert slider.value == slider.max > 1
    before = texts(at)
    slider.set_value(1).run()
    assert not at.exception
    assert texts(at) != before


def test_a_block_is_chosen_by_the_address(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(views=True))
    at = opened("layers", **{"run": folder.run_id, "soft-rounding-block": "layer1.0"})
    assert f"policy-soft-rounding-{folder.run_id}-layer1.0" in {one.key for one in at.slider}


def test_a_run_at_work_follows_the_block_at_work(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="running", views=True))
    at = opened("layers", run=folder.run_id)
    assert "Which way does each weight lean?" in texts(at)
    assert not at.slider


def test_a_run_of_an_older_version_shows_no_empty_picture(finished: str) -> None:
    assert "Which way does each weight lean?" not in texts(opened("layers", run=finished))


def test_the_signs_gradient_stands_beside_what_it_was_and_the_entropy_beside_plain_signs() -> None:
    figure = extended(CHARTS["signs"](), events("signs", 3, 15)).figure
    _, began, now, balanced, plain = figure["data"]
    assert (began["y"], now["y"]) == ([0.1, 1, 0.1], [0.5, 1, 0.5])
    assert (balanced["x"], balanced["y"]) == ([3, 15], [0.99, 0.99])
    assert plain["y"] == pytest.approx([0.905, 0.925], abs=1e-3)


def test_a_channel_is_drawn_before_and_after_and_between() -> None:
    figure = extended(CHARTS["deviations"](), events("deviations", 3)).figure
    _, error, before, after, between = figure["data"]
    assert error["y"] == [0.2, 0.2]
    assert [one["z"] for one in (before, after)] == [[0.1, 0.9, -0.3, 2.0], [0, 1, 0, 2]]
    assert (between["x"], between["y"]) == ([0, 1, 0, 1], [0, 0, 1, 1])


def test_a_core_has_a_rank_for_each_side_and_a_sum_of_columns_one() -> None:
    seen = events("factors", 3)
    assert "rank 4: the product" in words("factors", seen)
    seen[-1]["values"]["rank_inputs"] = 3.0
    assert "ranks 4 and 3: the product" in words("factors", seen)
