"""Which answers change: the images, one of them through the layers, and what is told without labels."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.charts.why.growth import growth, growth_words, parting
from app.charts.why.predictions import by_class, class_name, margins, reliability
from app.panels.answers.confidence import confusions, sure_words
from app.panels.answers.confidence import reliability as reliability_table
from app.panels.answers.flips import growth_table, table
from engine.run.folders.folder import RunFolder
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep, student_kept

LAYERS = ["conv1", "layer1.0.conv1", "layer1.0.conv2", "fc"]
USUAL = {"mean": [0.1, 0.2, 0.2, 0.2], "low": [0.05, 0.1, 0.1, 0.1], "high": [0.12, 0.3, 0.3, 0.3]}
GROWTH = {
    "layers": LAYERS, "usual": USUAL,
    "images": {"7": [0.1, 0.2, 0.4, 0.8], "3": [0.1, 0.1, 0.1, 0.1], "9": [0.1, 0.38, 0.29, 0.25]},
}  # fmt: skip
PIXEL = "data:image/webp;base64,UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
BINS = [
    {"low": 0.0, "high": 0.5, "images": 0, "confidence": None, "accuracy": None},
    {"low": 0.5, "high": 1.0, "images": 20, "confidence": 0.8, "accuracy": 0.6},
]


def flip(image: int, teacher: int, student: int, sure: float) -> dict[str, Any]:
    found = {"image": image, "teacher": teacher, "student": student, "margin_teacher": sure}
    return found | {"margin_student": 0.1, "label": teacher}


FOUND: dict[str, Any] = {
    "run": "r", "images": 20, "image_set": "Fashion-MNIST test",
    "classes": ["T-shirt", "Trouser", "Pullover, wool"],
    "flipped": [flip(7, 1, 2, 0.9), flip(3, 0, 2, 0.2), flip(9, 0, 1, 0.1), flip(11, 0, 1, 0.05)],
    "agreement": 0.8, "agreement_band": [0.6, 0.9],
    "by_class": [
        {"class": 0, "images": 12, "agreement": 0.75, "low": 0.5, "high": 0.9},
        {"class": 1, "images": 8, "agreement": 0.5, "low": 0.2, "high": 0.8},
    ],
    "confusion_difference": [{"true": 1, "answer": 2, "difference": 1},
                             {"true": 1, "answer": 1, "difference": -1}],
    "truth": "labels", "margins": {"teacher": [1] * 20, "student": [4, 2, *[1] * 13, 1, 0, 0, 0, 0]},
    "ece": {"teacher": 0.02, "student": 0.2}, "reliability": {"teacher": BINS, "student": BINS},
    "growth": GROWTH, "pictures": {"7": PIXEL, "3": PIXEL, "9": PIXEL}, "notes": [],
    "sentence": "4 of 20 images get another answer; of 1 of them the float network was sure.",
}  # fmt: skip


def test_an_image_parts_where_it_leaves_what_most_images_have_for_good() -> None:
    images = GROWTH["images"]
    assert parting(GROWTH, images["7"]) == "layer1.0.conv2"
    assert "40\u00a0% of the output, 2.0 times the average" in growth_words(GROWTH, images["7"])
    assert "In the last layer it is 4.0 times as large" in growth_words(GROWTH, images["7"])
    assert parting(GROWTH, images["3"]) == ""
    assert "close to tipping" in growth_words(GROWTH, images["3"])
    assert parting(GROWTH, images["9"]) == "layer1.0.conv1"  # it comes back: where it grew most
    assert "stays where 90\u00a0% of images are" in growth_words(GROWTH, images["9"])
    beyond = [own * 2 for own in USUAL["high"]]
    assert parting(GROWTH, beyond) == "conv1"


def test_the_growth_is_drawn_over_the_band_of_most_images() -> None:
    low, high, mean, own = growth(GROWTH, GROWTH["images"]["7"], "fc").figure["data"]
    assert (low["y"], high["y"]) == (USUAL["low"], USUAL["high"])
    assert high["fill"] == "tonexty"
    assert (mean["y"], own["y"]) == (USUAL["mean"], GROWTH["images"]["7"])


def test_the_growth_of_one_image_is_handed_out_as_a_table(folder: RunFolder, keep: Keep) -> None:
    frame = growth_table(GROWTH, GROWTH["images"]["7"])
    assert frame.to_dict("list") == {"layer": LAYERS, "this image": GROWTH["images"]["7"], **USUAL}
    keep("predictions", FOUND)
    at = opened("answers", run=folder.run_id)
    assert any("growth-7-csv" in one.proto.id for one in at.get("download_button"))


def test_the_class_that_changes_most_stands_first_with_its_band() -> None:
    (bars,) = by_class(FOUND["by_class"], FOUND["classes"]).figure["data"]
    assert bars["y"] == ["Trouser", "T-shirt"]
    assert bars["error_x"]["array"] == pytest.approx([0.3, 0.15])
    assert bars["error_x"]["arrayminus"] == pytest.approx([0.3, 0.25])
    many = [
        {"class": k, "images": 5, "agreement": k / 100, "low": 0, "high": 1} for k in range(100)
    ]
    assert len(by_class(many, []).figure["data"][0]["y"]) == 24
    assert class_name(2, FOUND["classes"]) == "Pullover"
    assert class_name(7, FOUND["classes"]) == "class 7"


def test_margins_are_steps_over_their_bins() -> None:
    float_line, quantized = margins(FOUND["margins"]).figure["data"]
    assert float_line["x"][:2] == [0, 0.05]
    assert float_line["x"][-1] == 1
    assert quantized["y"][:3] == [4, 2, 1]
    assert "2 images in float and 6 quantized" in margins(FOUND["margins"]).alt


def test_reliability_leaves_empty_bins_out_and_tells_the_error_in_points() -> None:
    line, _, student = reliability(FOUND["reliability"], FOUND["ece"]).figure["data"]
    assert line["x"] == line["y"] == [0, 1]
    assert (student["x"], student["y"]) == ([0.8], [0.6])
    assert student["name"] == "quantized: 20.0 points off"


def test_tables_say_classes_in_words() -> None:
    frame = table(FOUND, FOUND["flipped"])
    assert frame["Float"].tolist() == ["Trouser", "T-shirt", "T-shirt", "T-shirt"]
    assert frame["Is"].tolist() == frame["Float"].tolist()
    assert frame["Picture"].notna().tolist() == [True, True, True, False]
    unlabelled = [{k: v for k, v in one.items() if k != "label"} for one in FOUND["flipped"]]
    assert "Is" not in table(FOUND, unlabelled)
    assert confusions(FOUND).values.tolist() == [
        ["Trouser", "Pullover", 1],
        ["Trouser", "Trouser", -1],
    ]
    assert confusions(FOUND | {"confusion_difference": []}).empty
    assert len(reliability_table(FOUND)) == 4


def test_classes_of_few_images_name_no_culprit() -> None:
    said = sure_words(FOUND)
    assert "among answers **T-shirt**: 25.0\u00a0% of 12" in said  # Trouser has 8 images alone
    assert "20.0 points off" in said
    assert "further from" in said
    assert "confidence" not in sure_words(FOUND | {"ece": None})


def test_the_page_follows_the_image_of_the_address(folder: RunFolder, keep: Keep) -> None:
    keep("predictions", FOUND)
    at = opened("answers", run=folder.run_id)
    said = texts(at)
    assert "4 of 20 images get another answer" in said
    assert "Where does the error of image 7 grow?" in said
    assert at.dataframe[0].value["Image"].tolist() == [7, 3, 9]
    assert "1 more is in the CSV" in said
    at.button(key="growth-try").click().run()
    assert at.session_state["new-run"].bits == {"weight_bits": {"layer1.0.conv2": 8}}
    said = texts(opened("answers", run=folder.run_id, image="3"))
    assert "error of image 3 grow?" in said
    assert "close to tipping" in said
    said = texts(opened("answers", run=folder.run_id, image="11"))
    assert "Image 11 was not followed" in said
    assert "error of image 7 grow?" in said
    for odd in ("-1", "x", "99999"):
        assert "error of image 7 grow?" in texts(opened("answers", run=folder.run_id, image=odd))


def test_without_labels_there_is_a_sentence_in_place_of_reliability(
    folder: RunFolder, keep: Keep
) -> None:
    flips = [{k: v for k, v in one.items() if k != "label"} for one in FOUND["flipped"]]
    unlabelled = {"ece": None, "reliability": None, "reason": "no labels", "truth": "teacher"}
    keep("predictions", FOUND | unlabelled | {"flipped": flips, "classes": []})
    at = opened("answers", run=folder.run_id)
    at.session_state["sureness-more"] = True
    at.run()
    assert not at.exception
    said = texts(at)
    assert "have no labels, so nobody can tell" in said
    assert "by the float network's answer" in said
    assert "reliability-csv" not in {one.key for one in at.get("download_button")}


def test_where_no_answer_changes_nothing_is_followed(folder: RunFolder, keep: Keep) -> None:
    nothing = {"flipped": [], "pictures": {}, "confusion_difference": [], "agreement": 1.0}
    nothing |= {
        "sentence": "None of 20 images gets another answer.",
        "growth": GROWTH | {"images": {}},
    }
    keep("predictions", FOUND | nothing)
    said = texts(opened("answers", run=folder.run_id))
    assert "None of 20 images" in said
    assert "error of image" not in said


def test_a_network_without_classes_is_not_asked(runs: Path) -> None:
    folder = student_kept(fabricate(runs, Fabricated(labels=False)))
    file = folder.path / "result.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"output_kind": "embedding", "agreement": None})
    )
    at = opened("answers", run=folder.run_id)
    assert "gives no classes, so no answer can flip" in texts(at)
    assert "ask-predictions" not in {one.key for one in at.button}


@pytest.mark.parametrize("state", ["failed", "cancelled", "paused"])
def test_a_run_that_is_not_finished_has_no_answers_to_change(runs: Path, state: str) -> None:
    folder = fabricate(runs, Fabricated(state=state))
    at = opened("answers", run=folder.run_id)
    assert "Which answers change?" not in [one.value for one in at.subheader]
    assert "*Which answers change?*" in texts(at)


def test_a_record_says_what_it_lacks_and_an_older_answer_too(
    folder: RunFolder, keep: Keep, runs: Path
) -> None:
    record = fabricate(runs, Fabricated(seed=9))
    assert "a record alone" in texts(opened("answers", run=record.run_id))
    keep("predictions", {k: v for k, v in FOUND.items() if k not in ("growth", "pictures")})
    assert "by an older version" in texts(opened("answers", run=folder.run_id))
