"""What pages say of a run by what its network gives, and of runs that did not do all the work."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.panels.compare.results import _without_accuracy
from app.panels.head.controls import took
from app.panels.images.growth import measure_words
from app.panels.shared.measured import (
    brief,
    brief_note,
    compared,
    metrics,
    sentence,
    standing,
    verification_words,
)
from app.run_files.history import read_history
from engine.core.events import StageStarted
from engine.run.folders.folder import RunFolder
from tests.app.fabricate import Fabricated, fabricate, result
from tests.app.test_pages import opened, texts

NONE = dict.fromkeys(("fp32_top1", "quantized_top1", "top1_band", "agreement", "logit_kl"))
OTHERS = {"test_images": 32, "test_set": "other images made by genie, not calibrated on"}
IMAGE = NONE | OTHERS | {
    "output_kind": "image", "output_sqnr_db": 7.8, "output_sqnr_least_db": 5.5, "psnr_db": 18.25,
}  # fmt: skip
TRUTH = IMAGE | {"truth_psnr_db": {"float": 28.51, "quantized": 27.36, "bicubic": 25.04}}
KINDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "enlarged": (TRUTH, "7.8 dB", "gives images, not classes"),
    "image": (IMAGE, "7.8 dB", "gives images, not classes"),
    "segmentation": (
        NONE | OTHERS | {"output_kind": "segmentation", "agreement": 0.97, "answers": 4},
        "97.0\u00a0% agree", "agreement is the share of pixels",
    ),
    "one-logit": (
        NONE | OTHERS | {"output_kind": "one-logit", "agreement": 0.75, "answers": 2},
        "75.0\u00a0% agree", "its sign is the answer",
    ),
    "embedding": (
        NONE | OTHERS | {"output_kind": "embedding", "embedding_cosine": {"mean": 0.9876, "least": 0.9}},
        "0.9876 cosine", "directions stay",
    ),
    "verification": (
        NONE | OTHERS | {
            "output_kind": "embedding", "embedding_cosine": {"mean": 0.9876, "least": 0.9},
            "verification": {
                "pairs": 2000, "error": {"fp32": 0.06, "quantized": 0.0725},
                "band": {"fp32": [0.05, 0.071], "quantized": [0.062, 0.085]},
                "eer": {"fp32": 0.058, "quantized": 0.07},
                "change": {"lost": 40, "won": 15, "share": 0.0125, "band": [0.005, 0.02]},
            },
        },
        "7.25\u00a0% wrong pairs", "more than chance",
    ),
    "nothing": (NONE | OTHERS | {"output_kind": "logits", "test_images": 0}, "", "Nothing was compared"),
}  # fmt: skip


def finished(runs: Path, found: dict[str, Any]) -> RunFolder:
    made = Fabricated(labels=False)
    folder = fabricate(runs, made)
    (folder.path / "result.json").write_text(json.dumps(result(folder, made) | found))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_told_by_what_its_network_gives(runs: Path, kind: str) -> None:
    found, short, words = KINDS[kind]
    assert brief(found) == short
    judged = ("image", "enlarged", "embedding", "verification")  # by something else than labels
    assert ("labels" in brief_note(found)) == (kind not in judged)
    assert words in sentence(found)
    folder = finished(runs, found)
    at = opened("answers", run=folder.run_id)
    assert not at.exception
    assert words in texts(at)
    told = {metric.label: metric.value for metric in at.metric}
    assert "100.0\u00a0%" not in told.values()
    if kind == "enlarged":
        assert told["PSNR to the truth"] == "27.36 dB"
        assert told["Float · bicubic, dB"] == "28.5 · 25.0"
    if kind == "image":
        assert (told["Output SQNR"], told["Output PSNR"]) == ("7.8 dB", "18.2 dB")
        assert "Agreement" not in told
    if kind == "verification":
        assert (told["Error of verification"], told["Error as float"]) == (
            "7.25\u00a0%",
            "6.00\u00a0%",
        )
        assert "top-1" not in texts(at).lower()
    if kind == "segmentation":
        assert told["Agreement of pixels"] == "97.0\u00a0%"
    if kind == "nothing":
        assert "Agreement" not in told
    assert not opened("runs").exception


def test_beside_others_a_run_stands_by_its_own_measure_and_its_band() -> None:
    assert standing(IMAGE) == "Output SQNR 7.8 dB"
    judged = KINDS["verification"][0]
    assert (
        standing(judged)
        == "Error of verification 7.25\u00a0% (95\u00a0%: 6.20\u00a0% to 8.50\u00a0%)"
    )
    assert standing(NONE | OTHERS | {"output_kind": "logits", "quantized_top1": 0.9}) == ""
    assert standing({}) == ""


def test_two_embeddings_beside_each_other_do_not_wait_for_an_accuracy(runs: Path) -> None:
    ids = []
    for seed in (0, 1):
        made = Fabricated(labels=False, seed=seed)
        folder = fabricate(runs, made)
        found = result(folder, made) | KINDS["verification"][0]
        (folder.path / "result.json").write_text(json.dumps(found))
        ids.append(folder.run_id)
    at = opened("runs", runs=",".join(ids))
    assert not at.exception
    assert texts(at).count("Error of verification 7.25\u00a0%") == 2
    assert "No accuracy yet" not in texts(at)


@pytest.mark.parametrize("agreement", [0.688, None])
def test_a_run_that_is_judged_without_labels_awaits_no_accuracy(agreement: float | None) -> None:
    judged, waits = _without_accuracy("B", {"agreement": agreement}), _without_accuracy("B", {})
    assert "yet" not in judged
    assert ("68.8\u00a0%" in judged) is bool(agreement)
    assert "yet" in waits


def test_runs_are_compared_by_the_same_measure() -> None:
    assert compared(IMAGE, IMAGE | {"output_sqnr_db": 5.0}) == (
        "Output SQNR: 7.8 dB; with nearest rounding 5.0 dB."
    )
    maps = KINDS["segmentation"][0]
    assert (
        "97.0\u00a0% of the pixels; with nearest rounding on 90.0\u00a0% of the pixels"
        in compared(maps, maps | {"agreement": 0.9})
    )
    assert "Nothing was compared" in compared(KINDS["nothing"][0], maps)
    assert metrics(maps) == []


def test_without_test_images_the_page_says_what_was_looked_at() -> None:
    assert "not calibrated on" in sentence(KINDS["one-logit"][0])
    labelled = KINDS["one-logit"][0] | {"test_set": "a folder"}
    assert "no labels" in sentence(labelled)


def test_reused_images_cost_this_run_nothing(runs: Path) -> None:
    folder = finished(runs, {
        "seconds": {"synthesis": 0.0, "quantization": 3.0},
        "reused": {"synthesis": {"run": "another", "seconds": 248.0}},
    })  # fmt: skip
    assert took(folder, read_history(folder))["synthesis"] == "reused"
    assert took(folder, read_history(folder))["quantization"] == "3 s"


def test_a_gap_of_an_older_version_is_said_to_be_measured_otherwise(runs: Path) -> None:
    folder = fabricate(runs, Fabricated())
    assert "older version" in measure_words(read_history(folder))
    assert "older version" in texts(opened("images", run=folder.run_id))
    newer = RunFolder(runs / "newer")
    newer.path.mkdir()
    assert measure_words(read_history(newer)) == ""
    newer.append(StageStarted(stage="synthesis", total_steps=4, gap_by="channel"))
    assert measure_words(read_history(newer)) == ""


@pytest.mark.parametrize(
    ("band", "words", "short"),
    [
        (
            [0.005, 0.02],
            "0.50 to 2.00 points more errors, **more than chance**",
            "more than the teacher's",
        ),
        (
            [-0.02, -0.005],
            "0.50 to 2.00 points fewer errors, **more than chance**",
            "fewer than the",
        ),
        (
            [-0.005, 0.02],
            "**not distinguishable** (-0.50 to +2.00 points)",
            "as many, but for chance, as",
        ),
    ],
)
def test_verification_says_which_way_the_difference_goes(
    band: list[float], words: str, short: str
) -> None:
    pairs = KINDS["verification"][0]["verification"]
    changed = {"verification": pairs | {"change": pairs["change"] | {"band": band}}}
    assert words in verification_words(changed["verification"])
    assert brief_note(changed).startswith(short)
