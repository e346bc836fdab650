"""The page of effects: with a file, with a broken one, with none; and the chart of one claim."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.charts.outcomes.ablation import earned
from app.charts.outcomes.effects import claim
from engine.run.benches.ladder import CONTROL, LADDER, OWN
from tests.app.test_pages import opened, texts

VALUES = {
    "method": [0.1, 0.2, 0.15],
    "baseline": [0.3, 0.25, 0.4],
    "noise": [0.05, 0.05, 0.05],
    "real": [0.3, 0.2, 0.4],
}


def a_row(**changes: Any) -> dict[str, Any]:
    row = {
        "name": "dsg-pixels", "says": "DSG's images repeat each other less.", "of": "cosine",
        "method": "dsg", "baseline": "zeroq", "metric": "pixel_correlation", "lower": True,
        "network": "resnet20-fashion", "asserted": True, "method_title": "DSG",
        "baseline_title": "ZeroQ", "values": VALUES,
    }  # fmt: skip
    return row | changes


def a_file(**changes: Any) -> dict[str, Any]:
    worse = a_row(
        name="aac-peaks", says="AAC shows peaks.", values=VALUES | {"method": [9.0, 9.0, 0.1]}
    )
    never = a_row(name="other", says="Another.", asserted=False, lower=False)
    result = {
        "date": "2026-11-21 09:00", "command": "python -m engine bench effects --seeds 0,1,2",
        "seeds": [0, 1, 2], "images": 48, "steps": 80, "generator_steps": 200, "threads": 1,
        "versions": {"torch": "2.13.0"}, "claims": [a_row(), worse, never],
    }  # fmt: skip
    return result | changes


def test_without_a_file_the_page_says_so_and_explains_its_words(shipped: Path) -> None:
    at = opened("evidence")
    assert "Nothing is measured in this" in at.info[0].value
    assert "Zero-shot quantization" in texts(at)
    assert len(at.get("bidi_component")) == 0


def test_a_torn_file_is_as_none(shipped: Path) -> None:
    (shipped / "effects.json").write_text(json.dumps(a_file())[:-30])
    assert "Nothing is measured in this" in opened("evidence").info[0].value


def test_the_page_says_of_each_claim_whether_it_held(shipped: Path) -> None:
    (shipped / "effects.json").write_text(json.dumps(a_file()))
    at = opened("evidence")
    words = texts(at)
    assert "°" in words
    assert ":green-badge[:material/check: 1 holds]" in words
    assert words.count("badge[:material/check: holds]") == 1  # a chip in the table
    assert words.count("badge[:material/remove: no gain here]") == 2
    assert "badge[:material/question_mark: not measured]" in words  # claims that the file lacks
    assert "2026-11-21 09:00" in words
    assert len(at.get("bidi_component")) == 1
    for name, said in (("dsg-pixels", "holds: held in 3 of 3 seeds"), ("other", "did not hold"),
                       ("aac-peaks", "no gain here: held in 1 of 3 seeds")):  # fmt: skip
        assert said in texts(opened("evidence", claim=name))


def test_a_card_says_in_which_settings_the_two_sides_differ(shipped: Path) -> None:
    rows = [
        a_row(differs=["slack", "emphasis"]), a_row(name="batchnorm", differs=[]), a_row(name="old"),
    ]  # fmt: skip
    (shipped / "effects.json").write_text(json.dumps(a_file(claims=rows)))
    assert "all is alike but its settings: slack and emphasis" in texts(opened("evidence"))
    assert "Both are of the same images" in texts(opened("evidence", claim="batchnorm"))
    old = texts(opened("evidence", claim="old"))
    assert "all is alike" not in old
    assert "Both are of" not in old


def test_a_card_says_what_a_claim_of_its_own_budget_took(shipped: Path) -> None:
    rows = [a_row(images=16, held_out=200.0), a_row(name="old")]
    (shipped / "effects.json").write_text(json.dumps(a_file(claims=rows)))
    assert ", 16 images made from it, judged on 200." in texts(opened("evidence"))
    assert "judged on 200" not in texts(opened("evidence", claim="old"))


def test_a_card_says_in_which_number_a_control_was_made_alike(shipped: Path) -> None:
    match = {"setting": "constant_sigma", "words": "entropy, bits a weight", "within": 0.05}
    alike = {
        "method": [3.461, 3.4, 3.5],
        "baseline": [3.5, 3.41, 3.52],
        "constant_sigma": [0.0075, 0.008, 1],
    }
    rows = [
        a_row(differs=["spread"], match=match, alike=alike),
        a_row(name="old", differs=["spread"]),
    ]
    (shipped / "effects.json").write_text(json.dumps(a_file(claims=rows)))
    assert (
        "Made alike in entropy, bits a weight: 3.46, 3.40, 3.50 and, of the control, 3.50, 3.41, 3.52, by "
        "its constant sigma, searched until at most 0.05 is left: 0.0075, 0.008, 1."
    ) in texts(opened("evidence"))
    assert "Made alike" not in texts(opened("evidence", claim="old"))


def test_claims_measured_at_different_times_say_so(shipped: Path) -> None:
    rows = [a_row(date="2026-11-20 08:00"), a_row(name="other")]
    (shipped / "effects.json").write_text(json.dumps(a_file(claims=rows)))
    assert "measured from 2026-11-20 08:00 to 2026-11-21 09:00" in texts(opened("evidence"))


def test_a_newer_file_of_the_users_is_shown(shipped: Path, runs: Path) -> None:
    (shipped / "effects.json").write_text(json.dumps(a_file()))
    (runs / "effects.json").write_text(json.dumps(a_file(date="2026-11-22 09:00")))
    assert "2026-11-22 09:00" in texts(opened("evidence"))
    (runs / "effects.json").write_text(json.dumps(a_file(date="2026-11-20 09:00")))
    assert "2026-11-21 09:00" in texts(opened("evidence"))


def test_each_file_has_a_part_of_its_own_on_the_page(shipped: Path) -> None:
    (shipped / "effects.json").write_text(json.dumps(a_file()))
    alone = a_file(
        date="2026-11-20 07:00", command="python -m engine bench effects --data CIFAR10",
        seeds=[4, 5, 6], claims=[a_row(network="resnet20-cifar10")],
    )  # fmt: skip
    (shipped / "effects-cifar10.json").write_text(json.dumps(alone))
    first, other = (opened("evidence", **of) for of in ({}, {"of": "resnet20-cifar10"}))
    assert "2026-11-21 09:00" in texts(first)
    assert "2026-11-20 07:00" in texts(other)
    assert "ResNet-20 (CIFAR-10)" in texts(other)
    assert [at.code[0].value for at in (first, other)] == [a_file()["command"], alone["command"]]


def an_ablation() -> dict[str, Any]:
    tops = {rung: [0.8 + 0.01 * k, 0.82 + 0.01 * k] for k, rung in enumerate(LADDER)}
    one = {
        "title": "A network", "float": 0.9, "band": [0.88, 0.92], "test_images": 1000,
        "top1": {CONTROL: [0.2, 0.3]} | tops,
    }  # fmt: skip
    near = one | {"title": "Another", "top1": {CONTROL: [0.76, None]} | tops}
    return {
        "date": "2026-11-21 09:00", "command": "python -m engine bench ablation", "seeds": [0, 1],
        "bits": {"weights": 2, "activations": 4}, "steps": 400, "versions": {"torch": "2.13.0"},
        "networks": [one, near],
    }  # fmt: skip


def test_what_the_own_recipe_earns_is_a_part_of_the_page(shipped: Path) -> None:
    (shipped / "effects.json").write_text(json.dumps(a_file()))
    (shipped / "ablation.json").write_text(json.dumps(an_ablation()))
    at = opened("evidence", of="quantoscope")
    assert at.header[0].value == "What does each part of our own recipe earn?"
    words = texts(at).replace("\N{NO-BREAK SPACE}", " ")
    assert "Quantoscope **85.0 %**, GENIE-M as released 81.0 %: +4.0 points" in words
    assert words.count("Nearest rounding (too far off to draw) 25.0 %") == 1
    assert len(at.get("bidi_component")) == 2
    assert at.code[0].value == "python -m engine bench ablation"


def test_the_own_recipe_alone_is_shown_too_and_a_torn_file_of_it_is_not(shipped: Path) -> None:
    whole = json.dumps(an_ablation())
    (shipped / "ablation.json").write_text(whole)
    assert "our own recipe" in opened("evidence").header[0].value
    (shipped / "ablation.json").write_text(whole[:-30])
    assert "Nothing is measured in this" in opened("evidence").info[0].value


class TestAblationChart:
    def test_a_row_is_a_rung_with_a_dot_for_each_seed_and_their_mean(self) -> None:
        far, near = an_ablation()["networks"]
        traces = {t.get("name"): t for t in earned(far, [0, 1]).figure["data"]}
        assert traces["seed 1"]["y"] == list(LADDER)  # the control is too far off
        assert traces["seed 1"]["x"] == pytest.approx([82, 83, 84, 85, 86, 87])
        assert traces["mean"]["x"] == pytest.approx([81, 82, 83, 84, 85, 86])
        drawn = {t.get("name"): t for t in earned(near, [0, 1]).figure["data"]}
        assert drawn["seed 1"]["y"] == [CONTROL, *LADDER]
        assert drawn["seed 1"]["x"][0] is None
        assert drawn["mean"]["x"][0] == pytest.approx(76)

    def test_the_float_network_and_its_band_stand_across(self) -> None:
        network = an_ablation()["networks"][0]
        band, line = earned(network, [0, 1]).figure["layout"]["shapes"]
        assert (band["x0"], band["x1"]) == pytest.approx((88, 92))
        assert line["x0"] == line["x1"] == pytest.approx(90)
        low, high = earned(network, [0, 1]).figure["layout"]["xaxis"]["range"]
        assert 75 < low < 80 < 92 < high < 95
        nothing = {"float": None, "band": [None, None], "top1": {OWN: [None, None]}}
        unknown = earned(network | nothing, [0, 1]).figure["layout"]
        assert unknown["shapes"] == []

    def test_a_rung_that_was_not_measured_is_not_drawn(self) -> None:
        network = an_ablation()["networks"][0]
        network["top1"][OWN] = [None, None]
        assert OWN not in earned(network, [0, 1]).figure["data"][0]["y"]


class TestChart:
    def test_each_seed_has_its_pair_and_controls_stand_at_their_means(self) -> None:
        traces = claim(a_row(), [0, 1, 2]).figure["data"]
        pairs = [t for t in traces if t.get("showlegend") is False]
        assert [t["x"] for t in pairs] == [[0.3, 0.1], [0.25, 0.2], [0.4, 0.15]]
        named = {t["name"]: t["x"] for t in traces if "name" in t}
        assert named["DSG"] == VALUES["method"]
        assert named["ZeroQ"] == VALUES["baseline"]
        assert named["noise"] == pytest.approx([0.05] * 2)
        assert named["real"] == pytest.approx([0.3] * 2)
        lines = claim(a_row(), [0, 1, 2]).figure["layout"]["shapes"]
        assert [line["x0"] for line in lines] == pytest.approx([0.05, 0.3])

    def test_a_baseline_of_noise_is_not_drawn_twice(self) -> None:
        traces = claim(a_row(baseline="noise", baseline_title="Noise"), [0, 1, 2]).figure["data"]
        assert [t["name"] for t in traces if "name" in t] == ["Noise", "DSG", "real"]

    @pytest.mark.parametrize(("least", "kind"), [(0.1, None), (0.0, None), (0.001, "log")])
    def test_far_apart_numbers_above_zero_stand_on_a_logarithmic_axis(
        self, least: float, kind: str | None
    ) -> None:
        row = a_row(values=VALUES | {"method": [least, 0.2, 0.2]})
        assert claim(row, [0, 1, 2]).figure["layout"]["xaxis"].get("type") == kind

    def test_unknown_numbers_leave_gaps_and_the_words_say_so(self) -> None:
        row = a_row(values=VALUES | {"noise": [None] * 3, "method": [None, 0.2, 0.2]})
        drawn = claim(row, [0, 1, 2])
        assert "noise" not in [t.get("name") for t in drawn.figure["data"]]
        assert "DSG –, 0.2, 0.2" in drawn.alt
