"""Labels against outputs: each likely mistake is told by its cause, and a network that is right by none."""

import pytest
import torch

from engine.analysis.inputs.label_match import _in_other_order, examine_labels
from engine.core.percent import percent

CLASSES, IMAGES = 12, 360
ORDER = torch.tensor([3, 7, 1, 0, 9, 2, 8, 5, 4, 6, 11, 10])


def answers(truth, accuracy=0.9, classes=CLASSES):
    """Logits that are right on so many of the images, and else on any class."""
    rng = torch.Generator().manual_seed(0)
    wrong = torch.rand(len(truth), generator=rng) > accuracy
    said = torch.where(wrong, torch.randint(0, classes, truth.shape, generator=rng), truth)
    return torch.nn.functional.one_hot(said, classes).float()


def truth_of(*missing, classes=CLASSES, images=IMAGES):
    present = torch.tensor([k for k in range(classes) if k not in missing])
    return present[torch.arange(images) % len(present)]


def found(logits, labels):
    return examine_labels(logits, labels, name="pictures")


@pytest.mark.parametrize(("missing", "wrong", "kind", "cause"), [
    ((11,), lambda y: y + 1, "chance", "they counted from 1"),
    ((0,), lambda y: y - 1, "chance", "1 is added"),
    ((2,), lambda y: y - (y > 2).long(), "shifted-labels", "class 2 is missing"),
    ((11,), lambda y: y + (y > 4).long(), "shifted-labels", "without gaps"),
    ((10, 11), lambda y: y + (y > 2).long() + (y > 5).long(), "shifted-labels", "without gaps"),
    ((), lambda y: ORDER[y], "chance", "the classes stand in another order"),
    ((), lambda y: torch.tensor(sorted(range(CLASSES), key=str))[y], "shifted-labels", "sorted as words"),
])  # fmt: skip
def test_the_likely_mistake_is_named(missing, wrong, kind, cause):
    truth = truth_of(*missing)
    logits = answers(truth)
    (finding,) = found(logits, wrong(truth))
    assert (finding.kind, finding.message.count(cause)) == (kind, 1)
    assert f"of {IMAGES} images of pictures" in finding.message
    assert finding.advice
    assert found(logits, truth) == []  # and put right, nothing is found


def test_two_classes_changed_for_each_other_are_told_by_the_first_that_is_amiss():
    swap = torch.arange(CLASSES)
    swap[[0, 5]] = swap[[5, 0]]
    truth = torch.cat([torch.full((200,), 0), torch.full((200,), 5), truth_of(0, 5)])
    (finding,) = found(answers(truth), swap[truth])
    assert "label 5 is mostly answered by class 0" in finding.message


def test_a_class_that_the_network_does_not_know_moves_those_behind_it():
    truth = truth_of()
    foreign = truth == 11
    guesses = torch.randint(0, 11, truth.shape, generator=torch.Generator().manual_seed(1))
    logits = answers(torch.where(foreign, guesses, truth))
    (finding,) = found(logits, torch.where(foreign, 5, truth + (truth > 4).long()))
    assert "class 5 is not the network's" in finding.message


@pytest.mark.parametrize("accuracy", [0.95, 0.5, 0.3])
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_a_network_that_knows_its_images_is_left_alone(accuracy, classes):
    truth = truth_of(classes=classes)
    rate = max(accuracy, 0.6) if classes < 10 else accuracy
    assert found(answers(truth, rate, classes), truth) == []


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_guessing_is_hardly_better_than_chance(classes):
    truth = truth_of(classes=classes)
    (finding,) = found(answers(truth, 0.0, classes), truth)
    assert finding.kind == "chance"
    assert f"guessing is right on {percent(1 / classes)}" in finding.message
    assert "but on" not in finding.message


@pytest.mark.parametrize("said", [3, 4])
def test_one_answer_to_all_is_no_other_order_of_the_classes(said):
    truth = truth_of()
    (finding,) = found(answers(torch.full_like(truth, said), 1.0), truth)
    assert "but on" not in finding.message


def test_one_class_taken_for_its_neighbour_is_no_shift():
    labels = torch.full((50,), 6)
    (finding,) = found(answers(labels - 1, 1.0), labels)
    assert "but on" not in finding.message


def test_of_few_images_nothing_is_said_unless_it_is_clear():
    truth = truth_of(images=6)
    assert found(answers(truth, 0.0), truth) == []
    truth = truth_of(11, images=24)
    assert "counted from 1" in found(answers(truth, 1.0), truth + 1)[0].message
    assert found(torch.zeros(0, CLASSES), torch.zeros(0, dtype=torch.int64)) == []


def test_outputs_that_are_no_numbers_are_for_others_to_judge():
    truth = truth_of()
    assert found(answers(truth) * float("nan"), truth + 1) == []


def test_an_image_alone_in_its_class_says_nothing_of_what_its_own_label_means():
    alone = CLASSES - 1
    swap = torch.arange(CLASSES)
    swap[[2, 1]] = swap[[1, 2]]
    truth = torch.cat([torch.arange(alone).repeat(20), torch.tensor([alone])])
    said = torch.where(truth == alone, 1, truth)
    (other,) = _in_other_order(said, swap[truth], CLASSES)
    assert torch.equal(other.labels[:-1], truth[:-1])
    assert int(other.labels[-1]) == -1
