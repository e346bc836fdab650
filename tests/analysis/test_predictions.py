"""Two networks' answers side by side, against counts by hand."""

import numpy as np
import pytest

from engine.analysis.answers import predictions as p

LOG = np.log
TEACHER = LOG(np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.35, 0.4]]))
STUDENT = LOG(np.array([[0.3, 0.6, 0.1], [0.6, 0.2, 0.2], [0.2, 0.7, 0.1], [0.45, 0.3, 0.25]]))


def test_flipped_images_come_with_both_answers_and_the_surest_first():
    found = p.flipped(TEACHER, STUDENT)
    assert [(f["image"], f["teacher"], f["student"]) for f in found] == [(0, 0, 1), (3, 2, 0)]
    assert [f["margin_teacher"] for f in found] == pytest.approx([0.5, 0.05])
    assert [f["margin_student"] for f in found] == pytest.approx([0.3, 0.15])
    assert p.flipped(TEACHER, TEACHER) == []


def test_agreement_by_class_counts_each_class_that_the_teacher_gives():
    assert p.by_class(TEACHER, STUDENT) == [
        {"class": 0, "images": 2, "agreement": 0.5},
        {"class": 1, "images": 1, "agreement": 1.0},
        {"class": 2, "images": 1, "agreement": 0.0},
    ]


def test_the_confusion_differs_where_images_moved_and_sums_to_nothing():
    found = p.confusion_difference(TEACHER, STUDENT, np.array([0, 0, 1, 1]))
    moved = {(f["true"], f["answer"]): f["difference"] for f in found}
    assert moved == {(0, 0): -1, (0, 1): 1, (1, 2): -1, (1, 0): 1}
    alone = p.confusion_difference(TEACHER, STUDENT, None)  # the teacher's answers are the truth
    assert {(f["true"], f["answer"]): f["difference"] for f in alone} == {
        (0, 0): -1, (0, 1): 1, (2, 2): -1, (2, 0): 1,
    }  # fmt: skip


def test_a_label_that_no_output_stands_for_has_a_row_of_its_own():
    teacher, student = np.eye(2)[[0, 1, 0]], np.eye(2)[[0, 0, 1]]
    found = p.confusion_difference(teacher, student, np.array([0, 4, 3]))
    moved = {(f["true"], f["answer"]): f["difference"] for f in found}
    assert moved == {(4, 0): 1, (4, 1): -1, (3, 0): -1, (3, 1): 1}
    assert p.confusion_difference(teacher[:0], student[:0], np.zeros(0, int)) == []


def test_the_largest_differences_come_first():
    teacher, student = np.eye(3)[[0, 0, 0, 1, 2]], np.eye(3)[[1, 1, 0, 2, 2]]
    found = p.confusion_difference(teacher, student, np.array([0, 0, 0, 1, 2]))
    assert [(f["true"], f["answer"], f["difference"]) for f in found] == [
        (0, 0, -2), (0, 1, 2), (1, 1, -1), (1, 2, 1),
    ]  # fmt: skip


def test_the_calibration_error_is_that_of_a_loop_over_bins():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(500, 4)) * 2, rng.integers(0, 4, 500)
    naive = 0.0
    each = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for k in range(10):
        inside = [
            (one.max(), float(one.argmax() == label))
            for one, label in zip(each, labels, strict=True)
            if k / 10 < one.max() <= (k + 1) / 10
        ]
        if inside:
            sure, right = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            naive += len(inside) / 500 * abs(sure - right)
    assert p.calibration_error(p.reliability(logits, labels)) == pytest.approx(naive)
    assert naive > 0.2  # answers by chance are surer than right


def test_what_is_sure_and_right_is_calibrated_and_what_is_sure_and_wrong_errs_by_all():
    sure = np.array([[50.0, 0.0], [0.0, 50.0]])
    assert p.calibration_error(p.reliability(sure, np.array([0, 1]))) == pytest.approx(0)
    assert p.calibration_error(p.reliability(sure, np.array([1, 0]))) == pytest.approx(1)


def test_every_image_has_its_margin_in_the_histogram():
    two = LOG(np.array([[0.62, 0.38], [0.99, 0.01], [0.49, 0.51]]))  # margins 0.24, 0.98, 0.02
    counts = p.margin_histogram(two)
    assert {k: n for k, n in enumerate(counts) if n} == {0: 1, 4: 1, 19: 1}
    assert p.margins(np.zeros((2, 1))).tolist() == [1, 1]


def test_a_bin_of_the_reliability_diagram_holds_its_upper_end():
    # Two classes: a confidence p comes of a difference of log(p / (1 - p)).
    sure = np.array([0.55, 0.6, 0.65, 0.95])
    logits = np.stack([np.log(sure / (1 - sure)), np.zeros(4)], 1)
    found = p.reliability(logits, np.array([0, 1, 0, 0]))
    assert [one["images"] for one in found] == [0, 0, 0, 0, 0, 2, 1, 0, 0, 1]
    assert found[5]["accuracy"] == 0.5
    assert found[5]["confidence"] == pytest.approx(0.575)
    assert (found[5]["low"], found[5]["high"]) == (0.5, 0.6)
    assert found[0]["accuracy"] is None
