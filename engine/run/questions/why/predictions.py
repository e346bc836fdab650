"""Which answers of a network a finished run has changed, and how sure it still is. Imports torch."""

from typing import Any

import numpy as np

from engine.analysis.answers.accuracy import check_finite, wilson
from engine.analysis.answers.predictions import (
    by_class,
    calibration_error,
    confusion_difference,
    flipped,
    margin_histogram,
    reliability,
)
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.opened import Opened, Tell, open_run, tell_nobody
from engine.run.questions.why.through import error_growth, pictures

IMAGES = 10_000  # at most
SHOWN = 100  # changed images whose pictures are kept
_NO_LABELS = (
    "The images have no labels, so it cannot be told how often an answer is right at some confidence; give "
    "labelled images (--data FOLDER) for a calibration error."
)


def predictions(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """Teacher's and student's answers to the images that the run was judged on.

    {"run", "images", "image_set", "flipped": [...], "agreement", "agreement_band", "by_class": [...],
    "confusion_difference": [...], "truth", "margins": {"teacher", "student"}, "ece": {"teacher", "student"}
    or None with the "reason", "reliability": {"teacher", "student"} or None, "classes", "growth", "pictures",
    "sentence", "notes"}; parts as in `engine.analysis.answers.predictions`, with a class's 95 % band and a
    changed image's label where there are any; `truth` says whether "labels" or the "teacher" is the truth of
    the confusion, `growth` is that of `engine.run.questions.why.through`, and `pictures` has an address by
    the place of each of the first SHOWN changed images. UserError in one line for a run without a student,
    and for a network without classes of images.
    """
    run = open_run(folder, IMAGES)
    kind = run.context.output.kind
    if kind != "logits":
        raise UserError(
            f"run {folder.run_id!r} is of a network without classes of images (its output is of the kind "
            f"{kind}), so that no answer can flip; see its SQNR and cosine in the result, or `explain`"
        )
    tell(0, 2, "images through the float network")
    wanted = run.outputs(run.teacher, run.test)
    tell(1, 2, "images through the student")
    given = run.outputs(run.student, run.test)
    check_finite(wanted, given)
    teacher, student = wanted.double().numpy(), given.double().numpy()
    labels = None if run.labels is None else run.labels.numpy()
    changed = flipped(teacher, student)
    places = [one["image"] for one in changed]
    same = len(teacher) - len(changed)
    result = folder.result() or {}
    return {
        "run": folder.run_id,
        "images": len(teacher),
        "image_set": run.test_set,
        "classes": list(run.context.card.classes),
        "flipped": [one | _label(labels, one["image"]) for one in changed],
        "agreement": same / len(teacher),
        "agreement_band": list(wilson(same, len(teacher))),
        "by_class": [one | _band(one) for one in by_class(teacher, student)],
        "confusion_difference": confusion_difference(teacher, student, labels),
        "truth": "teacher" if labels is None else "labels",
        "margins": {"teacher": margin_histogram(teacher), "student": margin_histogram(student)},
        **_calibration({"teacher": teacher, "student": student}, labels),
        "growth": error_growth(run, places, tell),
        "pictures": _pictures(run, places[:SHOWN]),
        "sentence": _sentence(changed, len(teacher)),
        "notes": [result["other_engine"]] if "other_engine" in result else [],
    }


def _label(labels: np.ndarray | None, place: int) -> dict[str, int]:
    return {} if labels is None else {"label": int(labels[place])}


def _band(row: dict[str, Any]) -> dict[str, float]:
    low, high = wilson(round(row["agreement"] * row["images"]), row["images"])
    return {"low": low, "high": high}


def _pictures(run: Opened, places: list[int]) -> dict[str, str]:
    if not places or run.test[0].dim() != 3:
        return {}
    shown = pictures(run.test[places], *run.context.normalisation)
    return dict(zip(map(str, places), shown, strict=True))


def _calibration(logits: dict[str, np.ndarray], labels: np.ndarray | None) -> dict[str, Any]:
    if labels is None:
        return {"ece": None, "reliability": None, "reason": _NO_LABELS}
    bins = {who: reliability(scores, labels) for who, scores in logits.items()}
    return {"ece": {who: calibration_error(one) for who, one in bins.items()}, "reliability": bins}


def _sentence(changed: list[dict[str, Any]], images: int) -> str:
    if not changed:
        return f"None of {images:,} images gets another answer."
    sure = sum(one["margin_teacher"] > 0.5 for one in changed)
    one, of_them = "image gets" if len(changed) == 1 else "images get", f"of {sure:,} of them"
    return (
        f"{len(changed):,} of {images:,} {one} another answer; {of_them} the float network was sure (its "
        "first class likelier than the second by more than a half)."
    )
