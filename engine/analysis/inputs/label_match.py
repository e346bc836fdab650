"""Whether labels belong to a network's outputs: no better than chance, or far better when shifted.

A wrong numbering breaks nothing: every number that is made from it looks like a number. But a network
that knows its images is right on most of them as soon as the labels are put right, so the likely mistakes
are tried out: labels that count from 1, a class that is missing, names in another order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.analysis.answers.accuracy import wilson
from engine.core.percent import percent

LEAST_IMAGES = 30  # below, chance and a poor network cannot be told apart
MANY_CLASSES = 10  # from which on twice as good as chance is still next to nothing
LEAST_CLASSES = 3  # with fewer, one class taken for its neighbour looks like a shift
CLEARLY = 3.5  # standard errors by which other labels must be better: a handful of them are tried
VERY_CLEARLY = 5.0  # where as many are tried as there are classes
_UNKNOWN = "The weights, the order of the classes, or mean and std do not belong to these images."
INJECTIVE = 0.8  # share of labels with answers of their own, in what is merely another order
MOST_CLASSES = 2000  # with more, only the few usual mistakes are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFinding:
    """What is wrong with the labels, as it looks: `message` with the numbers, `advice` the way out."""

    kind: str  # "shifted-labels" or "chance"
    title: str
    message: str
    advice: str

    @property
    def sentence(self) -> str:
        """All of it, for a note."""
        return f"{self.title}: {self.message}. {self.advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Other:
    """Labels as they may have been meant."""

    labels: Tensor
    cause: str
    advice: str
    clearly: float = CLEARLY
    margin: float = 0.0  # share of images by which it must be better than a simpler cause


def examine_labels(logits: Tensor, labels: Tensor, *, name: str) -> list[LabelFinding]:
    """What the outputs [n, classes] to labelled images tell of the labels [n]; empty where they agree.

    All labels lie in [0, classes); `name` is what the images are called.
    """
    answers, labels = logits.argmax(1).cpu(), labels.cpu()
    outputs, count = logits.shape[1], len(labels)
    if outputs < 2 or not bool(logits.isfinite().all()):
        return []
    right = answers == labels
    hits, chance = int(right.sum()), 1 / outputs
    low, high = wilson(hits, count)
    seen = f"Right on {hits} of {count} images of {name} ({percent(low, 0)} to {percent(high, 0)})"
    hardly = chance if outputs < MANY_CLASSES else 2 * chance
    guessing = (count >= LEAST_IMAGES and low <= chance) or high < hardly
    if guessing:
        seen += f"; guessing is right on {percent(chance)}"
    better = _best_other(answers, labels, right, outputs)
    if better is not None:
        seen += f"; but on {int((better.labels == answers).sum())} if {better.cause}"
    elif not guessing:
        return []
    return [
        LabelFinding(
            kind="chance" if guessing else "shifted-labels",
            title="The float network is hardly better than chance" if guessing
            else "Labels and outputs do not belong together",
            message=seen, advice=_UNKNOWN if better is None else better.advice,
        )
    ]  # fmt: skip


def _best_other(answers: Tensor, labels: Tensor, right: Tensor, outputs: int) -> _Other | None:
    """The labels that make the network far better, where there are any; of equals, the first."""
    best, most, least = None, int(right.sum()), min(outputs, LEAST_CLASSES)
    if len(labels.unique()) < least:
        return None
    for other in _others(answers, labels, outputs):
        right_too = answers == other.labels
        won, lost = int((right_too & ~right).sum()), int((right & ~right_too).sum())
        # McNemar's test: of the images that are right under one labelling only, which has the more?
        clear = won - lost > other.clearly * (won + lost) ** 0.5
        # A network that answers all with one class gains where two labels are taken for that.
        many = len(answers[right_too].unique()) >= least
        if clear and many and int(right_too.sum()) > most + other.margin * len(labels):
            best, most = other, int(right_too.sum())
    return best


def _others(answers: Tensor, labels: Tensor, outputs: int) -> Iterator[_Other]:
    yield _Other(
        labels=labels - 1, cause="they counted from 1 and 1 is taken off",
        advice="Subtract 1 from the labels, or call the class folders from 0 on.",
    )  # fmt: skip
    yield _Other(
        labels=labels + 1, cause="1 is added",
        advice="The network seems to have an output before the first class (a background, say): add 1 to the "
        "labels.",
    )  # fmt: skip
    present = labels.unique()
    yield _Other(
        labels=torch.searchsorted(present, labels),
        cause="the classes that are there are numbered 0, 1, .. without gaps",
        advice="The network was trained on these classes alone: number them from 0 on, in this order.",
    )  # fmt: skip
    for cause, rank in _by_text(outputs):
        yield _Other(
            labels=rank[labels], cause=cause,
            advice="The network was trained on class folders in the order of the alphabet (0, 1, 10, 11, 2): "
            "number the classes so.",
        )  # fmt: skip
    if outputs <= MOST_CLASSES:
        yield from _with_a_gap(labels, outputs)
        yield from _in_other_order(answers, labels, outputs)


def _by_text(outputs: int) -> Iterator[tuple[str, Tensor]]:
    """Class numbers sorted as texts, which differs from the order of numbers from 11 classes on."""
    for first in (0, 1):
        texts = sorted(map(str, range(first, outputs + first)))
        rank = torch.empty(outputs, dtype=torch.int64)
        rank[torch.tensor([int(text) - first for text in texts])] = torch.arange(outputs)
        if outputs + first > 10:
            yield f"class folders {first}, {first + 1}, .. are sorted as words", rank


def _with_a_gap(labels: Tensor, outputs: int) -> Iterator[_Other]:
    for gap in range(1, outputs - 1):
        yield _Other(
            labels=labels + (labels >= gap).long(),
            cause=f"class {gap} is missing and those behind it move up by 1",
            advice=f"Number the classes as the network does, class {gap} too: class folders that are called "
            "by number keep their numbers.",
            clearly=VERY_CLEARLY,
        )  # fmt: skip
    for extra in range(outputs - 1):
        yield _Other(
            labels=torch.where(labels == extra, -1, labels - (labels > extra).long()),
            cause=f"class {extra} is not the network's and those behind it move down by 1",
            advice=f"Take class {extra} out, and number those behind it anew.", clearly=VERY_CLEARLY,
        )  # fmt: skip


def _in_other_order(answers: Tensor, labels: Tensor, outputs: int) -> Iterator[_Other]:
    """Each label as what the network mostly answers to it: found on half of the images, used on the rest."""
    halves = _rank_within(labels) % 2
    meant = torch.full_like(labels, -1)
    for half in (0, 1):
        learned, used = halves == half, halves != half
        table = torch.zeros(outputs, outputs, dtype=torch.int64)
        one = torch.ones(1, dtype=torch.int64)
        table.index_put_((labels[learned], answers[learned]), one, accumulate=True)
        known, usual = table.sum(1) > 0, table.argmax(1)
        if len(usual[known].unique()) < INJECTIVE * int(known.sum()):
            return  # many labels, one answer: no other order, but a network that cannot tell them apart
        meant[used] = torch.where(known[labels[used]], usual[labels[used]], -1)
    moved = [(int(a), int(b)) for a, b in zip(labels, meant, strict=True) if a != b and b >= 0]
    if moved:
        first, second = moved[0]
        yield _Other(
            labels=meant, cause=f"the classes stand in another order: label {first} is mostly answered by "
            f"class {second}",
            advice="Number the classes in the order of the network's outputs, or name them in that order "
            "(a classes.txt beside the images).",
            clearly=VERY_CLEARLY, margin=0.05,
        )  # fmt: skip


def _rank_within(labels: Tensor) -> Tensor:
    """0 for the first image of each label, 1 for its second, and so on."""
    order = labels.argsort(stable=True)
    _classes, counts = labels[order].unique_consecutive(return_counts=True)
    starts = counts.cumsum(0) - counts
    rank = torch.empty_like(labels)
    rank[order] = torch.arange(len(labels)) - starts.repeat_interleave(counts)
    return rank
