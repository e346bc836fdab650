"""The most in a given time: what fits, what stays, and what is said where nothing fits."""

from itertools import pairwise
from pathlib import Path

import pytest

from engine.core.errors import UserError
from engine.run.questions.before_a_run.time_budget import clock, fitted, scaled, seconds_in
from engine.run.recipes.recipe import Recipe
from tests.app.fabricate import RECIPE

PACE = {
    "synthesis": {
        "busy": 1.0, "memory_mb": [100.0, 1.0],
        "step_s": [0.1, 0.001], "planned": [100, 100], "asked": 100,
    },
    "quantization": {
        "busy": 1.0, "memory_mb": 50.0, "held_mb": 0.1, "start_mb": 100.0,
        "load_s": 2.0, "forward_s": 0.001, "images": 32, "weights_s": 1.0, "once_s": 3.0,
        "bits_s": 0.0, "bits_once_s": 0.0,
        "learned": [{"knob": "steps", "takes": "batch", "s": 20.0}], "asked": 100, "batch": 32,
        "test_images": 1000,
    },
}  # fmt: skip
TOTAL_S = clock(Path("/nowhere"), PACE)  # without any finished run


def recipe(**more):
    content = RECIPE | {"images": 128, "quantization": "genie-m", "synthesis": "genie"} | more
    return Recipe(
        synthesis_settings={"steps": 100, "batch": 64},
        quantization_settings={"steps": 100, "batch": 32},
        **content,
    )  # fmt: skip


@pytest.mark.parametrize("seconds", [30, 60, 120, 600])
def test_it_fills_the_time_and_stays_within(seconds):
    chosen = fitted(recipe(), seconds, TOTAL_S, {})
    assert 0.8 * seconds <= TOTAL_S(chosen) <= seconds


def test_more_time_is_never_fewer_steps_or_images():
    found = [fitted(recipe(), seconds, TOTAL_S, {}) for seconds in (20, 40, 80, 160, 320)]
    for less, more in pairwise(found):
        assert more.images >= less.images
        assert more.synthesis_settings["steps"] >= less.synthesis_settings["steps"]
        assert more.quantization_settings["steps"] >= less.quantization_settings["steps"]


def test_what_the_user_set_stays():
    fixed = {"synthesis": {"steps"}, "quantization": set(), "recipe": {"images"}}
    chosen = fitted(recipe(), 200, TOTAL_S, fixed)
    assert (chosen.images, chosen.synthesis_settings["steps"]) == (128, 100)
    assert chosen.quantization_settings["steps"] > 100
    assert chosen.quantization_settings["batch"] == 32


def test_the_least_time_is_told_where_nothing_fits():
    with pytest.raises(UserError, match=r"takes here is about \d+ s, not 5 s; give it that"):
        fitted(recipe(), 5, TOTAL_S, {})


FEW = {"synthesis": 1.0, "quantization": 9.0, "evaluation": 0.5}
MANY = {"synthesis": 1.0, "quantization": 3.0, "evaluation": 70.0}
BOTH = {"synthesis": 40.0, "quantization": 3.0, "evaluation": 70.0}


@pytest.mark.parametrize(
    ("methods", "fixed", "parts", "advice"),
    [
        (("genie", "genie-m"), {}, FEW, "give it that, or choose nearest rounding or noise"),
        (("noise", "genie-m"), {}, FEW, "give it that, or choose nearest rounding"),
        (("genie", "nearest"), {}, FEW, "give it that, or choose noise"),
        (("noise", "nearest"), {}, FEW, "give it that"),
        (("noise", "nearest"), {"recipe": {"images"}}, FEW, "give it that, or fewer --images"),
        (
            ("noise", "genie-m"), {"quantization": {"steps"}}, FEW,
            "give it that, or choose nearest rounding, or fewer quantization.steps",
        ),
        (("noise", "nearest"), {}, MANY, "give it that, or fewer test images (--data FOLDER)"),
        (("genie", "genie-m"), {}, MANY, "give it that, or fewer test images (--data FOLDER)"),
        (
            ("genie", "nearest"), {}, BOTH,
            "give it that, or fewer test images (--data FOLDER) and noise",
        ),
    ],
)  # fmt: skip
def test_no_way_out_is_one_that_was_taken(methods, fixed, parts, advice):
    plain = recipe(synthesis=methods[0], quantization=methods[1])
    with pytest.raises(UserError) as said:
        fitted(plain, 5, lambda _: sum(parts.values()), fixed, lambda _: parts)
    assert str(said.value).endswith(advice)
    judged = f", {parts['evaluation']:.0f} s of it for judging on the test images;"
    assert (judged in str(said.value)) == ("test images" in advice)


def test_what_takes_no_steps_takes_none():
    plain = recipe(synthesis="noise")
    none = scaled(plain, 3.0, {"synthesis": {"steps"}})
    assert none.synthesis_settings == plain.synthesis_settings
    zero = Recipe(
        synthesis_settings={"steps": 0}, quantization_settings={"activation_steps": 50, "steps": 100},
        **RECIPE | {"images": 128, "quantization": "brecq", "synthesis": "genie"},
    )  # fmt: skip
    half = scaled(zero, 0.5, {})
    assert half.synthesis_settings["steps"] == 0
    assert half.quantization_settings == {"activation_steps": 25, "steps": 50}


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2min", 120), ("2 min", 120), ("1.5h", 5400), ("45", 45)]
)  # fmt: skip
def test_times(text, seconds):
    assert seconds_in(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-3s", "0s", "3 days", "nan", "1e9s"])
def test_what_is_no_time(text):
    with pytest.raises(UserError, match="give 30s, 2min or 1h"):
        seconds_in(text)
