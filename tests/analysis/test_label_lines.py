"""Labels against outputs: where the lines are drawn, and another order found by counting one by one."""

from collections import Counter

import pytest
import torch

from engine.analysis.answers.accuracy import wilson
from engine.analysis.inputs.label_match import (
    CLEARLY,
    VERY_CLEARLY,
    _best_other,
    _by_text,
    _in_other_order,
    _rank_within,
    _with_a_gap,
    examine_labels,
)


def scores(answers, classes):
    return torch.nn.functional.one_hot(torch.as_tensor(answers), classes).float()


def found(answers, labels, classes):
    return examine_labels(scores(answers, classes), torch.as_tensor(labels), name="pictures")


@pytest.mark.parametrize(("present", "told"), [([2, 3], False), ([2, 3, 4], True)])
def test_a_shift_of_three_classes_is_one_and_of_two_it_may_be_a_neighbour(present, told):
    labels = torch.tensor(present * 20)
    (finding,) = found(labels - 1, labels, 12)
    assert ("counted from 1" in finding.message) is told


def test_a_network_of_two_classes_may_have_them_the_other_way_round():
    labels = torch.tensor([0, 1] * 30)
    (finding,) = found(1 - labels, labels, 2)
    assert "another order" in finding.message


def right_on(hits, count, classes):
    """Labels all 0; right on the first, and all over the others elsewhere."""
    wrong = [1 + k % (classes - 1) for k in range(count - hits)]
    return [0] * hits + wrong, [0] * count


@pytest.mark.parametrize("classes", [3, 9, 10, 20])
@pytest.mark.parametrize("count", [20, 30, 200])
def test_hardly_better_than_chance_is_what_the_band_does_not_rule_out(classes, count):
    for hits in range(count + 1):
        answers, labels = right_on(hits, count, classes)
        low, high = wilson(hits, count)
        enough = high < (2 if classes >= 10 else 1) / classes
        wanted = enough or (count >= 30 and low <= 1 / classes)
        told = found(answers, labels, classes)
        assert bool(told) is wanted, hits
        if told:
            assert told[0].kind == "chance"
            assert told[0].message.startswith(f"Right on {hits} of {count} images")


@pytest.mark.parametrize(
    ("won", "lost"), [(13, 0), (12, 0), (20, 3), (20, 5), (15, 1), (40, 12), (40, 15)]
)
def test_other_labels_are_better_by_three_and_a_half_standard_errors_of_what_changes(won, lost):
    """By one shift: `won` images are right with 1 taken off, `lost` with the labels as they are."""
    places = torch.arange(won + lost)
    labels = 1 + places % 5
    answers = torch.where(places < won, labels - 1, labels)
    other = _best_other(answers, labels, answers == labels, 12)
    clear = (won - lost) ** 2 > CLEARLY**2 * (won + lost)
    assert (other is not None and "counted from 1" in other.cause) is clear


def naive_order(answers, labels, classes):
    """Each label of an odd image as what even ones of that label are mostly answered with, and so on."""
    turn, halves = Counter(), []
    for label in labels:
        halves.append(turn[label] % 2)
        turn[label] += 1
    meant = [-1] * len(labels)
    for half in (0, 1):
        said = {}
        for answer, label, mine in zip(answers, labels, halves, strict=True):
            if mine == half:
                said.setdefault(label, Counter())[answer] += 1
        usual = {label: min(c, key=lambda a, c=c: (-c[a], a)) for label, c in said.items()}
        if len(set(usual.values())) < 0.8 * len(usual):
            return None
        for k, label in enumerate(labels):
            if halves[k] != half:
                meant[k] = usual.get(label, -1)
    return meant


@pytest.mark.parametrize("seed", range(8))
def test_another_order_is_learned_on_half_of_the_images_and_used_on_the_other(seed):
    rng, classes = torch.Generator().manual_seed(seed), 5 + seed
    order = torch.randperm(classes, generator=rng)
    labels = torch.randint(0, classes, (60 + seed,), generator=rng)
    noise = torch.randint(0, classes, labels.shape, generator=rng)
    clean = torch.rand(labels.shape, generator=rng) < 0.3 + 0.1 * seed
    answers = torch.where(clean, order[labels], noise)
    others = list(_in_other_order(answers, labels, classes))
    wanted = naive_order(answers.tolist(), labels.tolist(), classes)
    if wanted is None:
        assert others == []
        return
    (other,) = others
    assert other.labels.tolist() == wanted
    assert (other.clearly, other.margin) == (VERY_CLEARLY, 0.05)


def test_places_within_a_label_are_counted_in_order():
    labels = torch.tensor([4, 1, 4, 4, 1, 0, 4])
    assert _rank_within(labels).tolist() == [0, 0, 1, 2, 1, 0, 3]


@pytest.mark.parametrize(("classes", "told"), [(9, 0), (10, 1), (11, 2), (12, 2)])
def test_numbers_and_words_sort_alike_up_to_ten(classes, told):
    ranks = list(_by_text(classes))
    assert len(ranks) == told
    for cause, rank in ranks:
        first = 1 if "folders 1" in cause else 0
        words = sorted(str(k + first) for k in range(classes))
        assert rank.tolist() == [words.index(str(k + first)) for k in range(classes)]


def test_every_class_that_could_be_missing_or_too_many_is_tried():
    labels, classes = torch.arange(5).repeat(2), 5
    others = list(_with_a_gap(labels, classes))
    missing, extra = range(1, 4), range(4)
    assert len(others) == len(missing) + len(extra)
    for gap, other in zip(missing, others, strict=False):
        assert other.labels.tolist() == [k + (k >= gap) for k in labels.tolist()]
    for more, other in zip(extra, others[len(missing) :], strict=True):
        wanted = [-1 if k == more else k - (k > more) for k in labels.tolist()]
        assert other.labels.tolist() == wanted
    assert {other.clearly for other in others} == {VERY_CLEARLY}


def test_one_output_and_no_images_say_nothing():
    assert found([0] * 40, [0] * 40, 1) == []
    assert examine_labels(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), name="") == []
