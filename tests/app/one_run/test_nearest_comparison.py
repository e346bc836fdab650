"""What a method is worth beside nearest rounding, and what chosen bits are worth beside equal ones."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.charts.layers import allocation
from app.charts.outcomes.results import Accuracy
from app.charts.style import QUANTIZED, QUIET
from app.panels.answers import nearest_comparison as gain
from app.panels.answers.nearest_comparison import gain_words, paired_gain, plain_run
from app.panels.layers.allocation import additivity_words, allocation_words
from engine.core.paired import packed
from engine.run.catalog import collect
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe, make_recipe
from tests.app.fabricate import ALLOCATION, BITS, Fabricated, fabricate, result
from tests.app.test_pages import opened, started, texts


def test_a_method_within_the_bands_of_nearest_gains_nothing(runs: Path) -> None:
    fabricate(runs, Fabricated(quantization="nearest", top1=0.875))
    mine = fabricate(runs, Fabricated(top1=0.88))
    assert "Not distinguishable from nearest" in texts(opened("answers", run=mine.run_id))


@pytest.mark.parametrize(
    ("top1", "said"), [(0.95, "5.00 points better"), (0.85, "5.00 points worse"), (0.91, "overlap")]
)
def test_the_gain_is_told_with_its_sign(top1: float, said: str) -> None:
    def row(value: float) -> Accuracy:
        return Accuracy(name="", top1=value, low=value - 0.01, high=value + 0.01, colour="")

    assert said in gain_words(row(top1), row(0.9), None)


def test_runs_that_kept_their_answers_are_told_apart_image_by_image(runs: Path) -> None:
    """980 of 1000 right against 970, and none that only the other has right: sure, though bands overlap."""
    folders = {
        "nearest": fabricate(runs, Fabricated(quantization="nearest", top1=0.97)),
        "genie-m": fabricate(runs, Fabricated(top1=0.98)),
    }
    for name, right in (("nearest", 970), ("genie-m", 980)):
        file = folders[name].path / "result.json"
        kept = packed([k < right for k in range(1000)])
        file.write_text(json.dumps(json.loads(file.read_text()) | {"right": kept}))
    said = texts(opened("answers", run=folders["genie-m"].run_id))
    assert "**1.00 points better** than nearest" in said
    assert "10 images right that nearest has wrong, 0 the other way round" in said
    assert paired_gain({"right": "f", "test_images": 4}, {"right": "f", "test_images": 5}) is None
    assert paired_gain({"right": "x", "test_images": 4}, {"right": "f", "test_images": 4}) is None


def test_only_a_run_that_differs_in_nothing_else_is_compared(runs: Path) -> None:
    mine = fabricate(runs, Fabricated())
    fabricate(runs, Fabricated(quantization="nearest", seed=1))
    fabricate(runs, Fabricated(quantization="nearest", synthesis="noise"))
    fabricate(runs, Fabricated(quantization="nearest", state="failed"))
    assert plain_run(mine.recipe) is None
    plain = fabricate(runs, Fabricated(quantization="nearest"))
    found = plain_run(mine.recipe)
    assert found is not None
    assert found.run_id == plain.run_id


def test_another_range_is_another_recipe(runs: Path) -> None:
    mine = fabricate(runs, Fabricated())
    plain = fabricate(runs, Fabricated(quantization="nearest"))
    for folder, rule in ((mine, "mse"), (plain, "min-max")):
        file = folder.path / "recipe.json"
        recipe = json.loads(file.read_text())
        recipe["quantization_settings"]["weight_range"] = rule
        file.write_text(json.dumps(recipe))
    assert plain_run(mine.recipe) is None


def test_nearest_rounding_is_one_click_away(finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = started(monkeypatch)
    at = opened("answers", run=finished)
    at.button(key="gain-nearest").click().run()
    assert (recipes[0].quantization, recipes[0].synthesis) == ("nearest", "genie")
    assert recipes[0].quantization_settings == {}  # the catalog here gives it none


def test_both_distances_from_the_teacher_stand_below(runs: Path) -> None:
    mine = fabricate(runs, Fabricated())
    plain = fabricate(runs, Fabricated(quantization="nearest"))
    for folder, divergence in ((mine, 0.0123), (plain, 0.456)):
        file = folder.path / "result.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"logit_kl": divergence}))
    said = texts(opened("answers", run=mine.run_id))
    assert "KL to the teacher's answers 0.0123, nearest 0.456" in said
    assert plain.run_id not in said


@pytest.mark.slow
def test_what_is_started_is_found_again_for_every_quantizer(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = collect()
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    recipes: list[Recipe] = []

    def start(fields: dict[str, Any]) -> None:
        named = {k: v for k, v in fields.items() if k not in ("contents", "forked_from")}
        recipes.append(make_recipe(catalog, **named))

    monkeypatch.setattr("app.panels.answers.nearest_comparison.start_run", start)
    for method in (one["name"] for one in catalog["quantization"] if one["name"] != "nearest"):
        mine = make_recipe(
            catalog, model="resnet20-fashion", synthesis="noise", quantization=method,
            preset="quick", images=8,
        )  # fmt: skip
        gain.start_plain(mine)
        plain = RunFolder.create(runs, recipes[-1])
        plain.finish(result(plain, Fabricated()))
        found = plain_run(mine)
        assert found is not None, method
        assert found.run_id == plain.run_id
        shutil.rmtree(plain.path)


def test_nearest_rounding_is_not_compared_with_itself(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(quantization="nearest"))
    at = opened("answers", run=folder.run_id)
    assert "Is it better than rounding to nearest?" not in [one.value for one in at.subheader]


def test_chosen_bits_stand_on_the_front_beside_equal_ones() -> None:
    figure = allocation.front(ALLOCATION).figure
    front, equal, chosen = figure["data"]
    assert front["x"] == [0.5, 0.9]  # in kB; a sensitivity of 0 has no place on a logarithmic axis
    assert equal["text"] == ["W3", "W4", "W5"]
    assert (chosen["x"], chosen["y"]) == ([0.9], [0.02])
    figure = allocation.bits(BITS, ALLOCATION).figure
    bars, edges = figure["data"]
    assert (bars["y"], bars["marker"]["color"]) == ([3, 5], QUANTIZED)
    assert (edges["x"], edges["marker"]["color"]) == (["conv1", "fc"], QUIET)
    assert figure["layout"]["xaxis"]["categoryarray"] == list(BITS)


def _spent(share: float, kl: float) -> dict[str, Any]:
    """ALLOCATION (W3: 750, KL 0.133; W4: 1000, 0.1; W5: 1250, 0.08) with another budget, all spent."""
    report: dict[str, Any] = copy.deepcopy(ALLOCATION)
    report["budget"] = report["chosen"]["cost"] = 1000.0 * share
    report["chosen"]["kl_together"] = kl
    return report


@pytest.mark.parametrize(
    ("share", "kl", "said"),
    [
        (1, 0.03, "70\u00a0% nearer"),
        (1, 0.1, "as far from"),
        (1, 0.11, "further from the teacher's: KL 0.11 instead of 0.1 with 4 bits in every layer."),
        # a smaller budget does not buy 4 bits, a larger one more than 4
        (0.8, 0.11, "0.133 with 3 bits in every layer, which cost 93.8\u00a0% of the budget."),
        (0.8, 0.2, "further from the teacher's: KL 0.2 instead of 0.133 with 3 bits"),
        (1.25, 0.09, "further from the teacher's: KL 0.09 instead of 0.08 with 5 bits"),
        (1.25, 0.04, "50\u00a0% nearer"),
        (
            0.5,
            0.2,
            "With 3 bits in every layer, which cost 150.0\u00a0% of the budget, they are 0.133 away.",
        ),
    ],
)
def test_bits_are_held_against_the_width_that_the_budget_buys_for_every_layer(
    share: float, kl: float, said: str
) -> None:
    words = allocation_words(_spent(share, kl))
    assert said in words
    assert ("No gain" in words) is ("far from" in said or "further" in said)
    assert ("nearer" in words) is ("No gain" not in words and share != 0.5)
    assert "No gain" not in allocation_words({**ALLOCATION, "uniform": []})


def test_the_page_shows_where_the_bits_went(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(quantization="mixed"))
    at = opened("layers", run=folder.run_id)
    assert "Where did the bits go?" in texts(at)
    assert {f"front-{folder.run_id}", f"bits-{folder.run_id}"} <= {
        one.key for one in at.get("bidi_component")
    }


def _checked(*points: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        {
            "cost": 100.0 * k,
            "sensitivity": alone,
            "kl_together": kl,
            "ratio": kl / alone,
            "chosen": k == 1,
        }
        for k, (alone, kl) in enumerate(points)
    ]


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (
            [(0.5, 0.6), (0.1, 0.2), (0.01, 0.012)],
            "**2 times** as much: the layers' errors make each",
        ),
        (
            [(0.5, 0.6), (0.1, 0.05), (0.01, 0.012)],
            "**0.5 times** as much: the layers' errors partly",
        ),
        ([(0.5, 0.6), (0.1, 0.11), (0.01, 0.02)], "nearly the same"),
        (
            [(0.5, 0.6), (0.1, 0.11), (0.01, 0.02)],
            "the factor is 1.1 to 2, and more budget was better",
        ),
        ([(0.5, 0.1), (0.1, 0.11), (0.01, 0.02)], "more budget was **not** always better"),
    ],
)
def test_whether_sensitivities_add_up_is_told_as_measured(
    points: list[tuple[float, float]], said: str
) -> None:
    assert said in additivity_words(_checked(*points))


def test_what_was_measured_at_once_stands_beside_the_front() -> None:
    report = ALLOCATION | {"additivity": _checked((0.5, 0.6), (0.02, 0.03))}
    together = allocation.front(report).figure["data"][-1]
    assert (together["x"], together["y"]) == ([0.0, 0.1], [0.6, 0.03])
    assert len(allocation.front(ALLOCATION).figure["data"]) == 3  # of an older version


def test_inputs_that_were_given_bits_stand_beside_the_weights() -> None:
    inputs = [{"path": "layer1.0", "layers": ["layer1.0.conv1"], "activation_bits": 5,
               "sensitivity": {"5": 0.1}}]  # fmt: skip
    given = {"conv1": None, "layer1.0.conv1": 5, "layer1.0.conv2": 4, "fc": 8}
    figure = allocation.bits(BITS, ALLOCATION | {"inputs": inputs}, given).figure
    weights, _, beside, edges = figure["data"]
    assert weights["offsetgroup"] != beside["offsetgroup"] == edges["offsetgroup"]
    assert (beside["x"], beside["y"]) == (["layer1.0.conv1"], [5])
    assert (edges["x"], edges["y"]) == (["layer1.0.conv2", "fc"], [4, 8])
    assert len(allocation.bits(BITS, ALLOCATION, given).figure["data"]) == 2


def test_a_budget_below_1_is_shared_out_as_any_other_and_times_are_told_behind_it():
    """Milliseconds of a small network: the share is of the budget, not of 1."""
    uniform = [{"weight_bits": 8, "cost": 0.5, "sensitivity": 0.2, "kl_together": 0.2}]
    chosen = {"cost": 0.45, "sensitivity": 0.1, "kl_together": 0.1}
    rows = [
        {"path": "a", "float_ms": 0.3, "int8_ms": 0.2, "runs": "int8", "choice": True},
        {"path": "b", "float_ms": 0.25, "int8_ms": 0.3, "runs": "float", "choice": True},
    ]
    report = ALLOCATION | {
        "cost": "latency", "budget": 0.6, "chosen": chosen, "uniform": uniform,
        "front": [[0.45, 0.1]], "kernels": {"layers": rows, "sentence": "One is faster."},
    }  # fmt: skip
    words = allocation_words(report)
    assert "75.0\N{NO-BREAK SPACE}% of the budget is spent" in words
    assert "83.3\N{NO-BREAK SPACE}% of the budget" in words
    assert words.endswith("One is faster.")
    assert "(ms)" in allocation.front(report).figure["layout"]["xaxis"]["title"]["text"]
    of_float, of_int8 = allocation.kernels(report).figure["data"]
    assert of_float["y"] == pytest.approx([300, 250])  # microseconds
    assert of_int8["y"] == pytest.approx([200, 300])
    assert (of_float["marker"]["opacity"], of_int8["marker"]["opacity"]) == ([0.3, 1.0], [1.0, 0.3])
