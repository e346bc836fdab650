"""What changes for whoever uses a network: two networks' answers to the same images. No torch."""

from typing import Any

import numpy as np

BINS = 10  # of a reliability diagram
MARGIN_BINS = 20  # of a histogram of margins
Logits = np.ndarray  # [images, classes], finite


def softmax(logits: Logits) -> np.ndarray:
    """Probabilities [images, classes] of logits, in double precision."""
    raised = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    found: np.ndarray = raised / raised.sum(1, keepdims=True)
    return found


def margins(logits: Logits) -> np.ndarray:
    """[images]: how much likelier the first class is than the second, in [0, 1]; 1 of one class."""
    if logits.shape[1] < 2:
        return np.ones(len(logits))
    two = np.partition(softmax(logits), -2, axis=1)
    found: np.ndarray = two[:, -1] - two[:, -2]
    return found


def flipped(teacher: Logits, student: Logits) -> list[dict[str, Any]]:
    """The images whose class changes, those first of which the teacher was surest.

    Each as {"image", "teacher", "student", "margin_teacher", "margin_student"}: its place, both classes, and
    how sure each network is of its own answer, see `margins`.
    """
    first, second = teacher.argmax(1), student.argmax(1)
    sure, sure_too = margins(teacher), margins(student)
    places = np.flatnonzero(first != second)
    return [
        {
            "image": int(k), "teacher": int(first[k]), "student": int(second[k]),
            "margin_teacher": float(sure[k]), "margin_student": float(sure_too[k]),
        }
        for k in places[np.argsort(-sure[places], kind="stable")]
    ]  # fmt: skip


def by_class(teacher: Logits, student: Logits) -> list[dict[str, Any]]:
    """Of each class that the teacher gives: {"class", "images", "agreement"}, the share that keeps it."""
    first, same = teacher.argmax(1), teacher.argmax(1) == student.argmax(1)
    return [
        {"class": int(c), "images": int((first == c).sum()), "agreement": float(same[first == c].mean())}
        for c in np.unique(first)
    ]  # fmt: skip


def confusion(answers: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """[classes, classes] counts: a row for each true class, a column for each answer."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, answers), 1)
    return counts


def confusion_difference(
    teacher: Logits, student: Logits, labels: np.ndarray | None
) -> list[dict[str, int]]:
    """Where the student's confusion matrix differs from the teacher's, the largest differences first.

    Each as {"true", "answer", "difference"}: how many more images of that class get that answer. Without
    labels the teacher's answers stand for the truth.
    """
    truth = teacher.argmax(1) if labels is None else labels
    count = max(teacher.shape[1], int(truth.max(initial=0)) + 1)
    more = confusion(student.argmax(1), truth, count) - confusion(teacher.argmax(1), truth, count)
    cells = sorted(zip(*np.nonzero(more), strict=True), key=lambda cell: -abs(int(more[cell])))
    return [{"true": int(t), "answer": int(a), "difference": int(more[t, a])} for t, a in cells]


def margin_histogram(logits: Logits) -> list[int]:
    """Counts of the margins in MARGIN_BINS bins of one width from 0 to 1."""
    return [int(n) for n in np.histogram(margins(logits), MARGIN_BINS, (0.0, 1.0))[0]]


def reliability(logits: Logits, labels: np.ndarray) -> list[dict[str, Any]]:
    """Of each of BINS bins of confidence: {"low", "high", "images", "confidence", "accuracy"}.

    Bins hold their upper end, as in Guo et al., ICML 2017, section 2; an empty one has None for both.
    """
    probabilities = softmax(logits)
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = (
        np.ceil(sure * BINS).astype(int) - 1
    )  # the surest of all classes is above 0, and at most 1
    found = []
    for k in range(BINS):
        inside = bins == k
        some = bool(inside.any())
        found.append(
            {
                "low": k / BINS, "high": (k + 1) / BINS, "images": int(inside.sum()),
                "confidence": float(sure[inside].mean()) if some else None,
                "accuracy": float(right[inside].mean()) if some else None,
            }
        )  # fmt: skip
    return found


def calibration_error(bins: list[dict[str, Any]]) -> float:
    """The expected calibration error, Σ n_b / n · |accuracy − confidence| (Guo et al. 2017, eq. 3)."""
    full = [one for one in bins if one["images"]]
    total = sum(one["images"] for one in full)
    gaps = [one["images"] * abs(one["accuracy"] - one["confidence"]) for one in full]
    return float(sum(gaps) / total) if total else 0.0
