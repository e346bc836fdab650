"""Whether two images show the same: how often embeddings say so rightly, on pairs of labelled images.

The way of Labeled Faces in the Wild (Huang et al., 2007): two images are taken for the same where the
cosine of their embeddings is above a threshold; in ten folds, each judged by the threshold that is best on
the other nine, so that it is never chosen on what it judges. Unlike there, an image stands in one pair
alone: pairs are independent, and the band of a share is the true one.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.analysis.answers.accuracy import embedding_cosines, paired_drop_of, wilson
from engine.core.paired import packed

FOLDS = 10
LEAST = 2 * FOLDS  # pairs, below which nothing is said


class Pairs(NamedTuple):
    """Places of the first and second image of each pair, [n], and whether both are of one label, [n]."""

    first: Tensor
    second: Tensor
    same: Tensor


def pairs_of(labels: Tensor) -> Pairs:
    """Pairs of images with those labels [n], always the same ones; each image is in one pair at most.

    Half of each label's images are paired among themselves, the other half with images of other labels.
    Where one label has more than half of those, what is left over is in no pair.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    alike: list[Tensor] = []
    others: list[Tensor] = []
    for label in labels.unique().tolist():
        places = order[labels[order] == label]
        count = len(places) // 4 * 2
        alike.append(places[:count].view(-1, 2))
        others.append(places[count:])
    same = torch.cat(alike) if alike else torch.zeros(0, 2, dtype=torch.long)
    different = _unlike(others)
    both = torch.cat([same, different])
    shuffled = torch.randperm(len(both), generator=torch.Generator().manual_seed(1))
    both = both[shuffled]
    return Pairs(both[:, 0], both[:, 1], labels[both[:, 0]] == labels[both[:, 1]])


def _unlike(groups: list[Tensor]) -> Tensor:
    """Pairs [n, 2] of places from different groups, as many as can be."""
    total = sum(len(group) for group in groups)
    most = len(max(groups, key=len, default=()))
    groups = [group[: max(total - most, 0)] for group in groups]
    row = torch.cat(groups) if groups else torch.zeros(0, dtype=torch.long)
    half = len(row) // 2
    # In a row sorted by group nothing is of the group that stands half a row further on.
    return torch.stack([row[:half], row[-half:]], 1) if half else row.new_zeros(0, 2)


def verify(labels: Tensor, teacher: Tensor, student: Tensor) -> dict[str, Any] | None:
    """What embeddings [n, d] of both networks say of pairs of those images; None of fewer than 20 pairs.

    `error`: share of pairs that are judged wrongly, with its 95 % `band`; `eer`: where as many strangers
    are let in as friends are turned away, its threshold chosen on the same pairs; `change`: the pairs that
    only one of both has right; `right`: which the quantized network has right, for the same pairs by
    another one (see engine.core.paired.packed).
    """
    pairs = pairs_of(labels)
    if len(pairs.same) < LEAST or not 0 < int(pairs.same.sum()) < len(pairs.same):
        return None
    found: dict[str, Any] = {"pairs": len(pairs.same), "error": {}, "band": {}, "eer": {}}
    right = []
    for name, embeddings in (("fp32", teacher), ("quantized", student)):
        cosines = embedding_cosines(embeddings[pairs.first], embeddings[pairs.second])
        right.append(judged_rightly(cosines, pairs.same))
        wrong = int((~right[-1]).sum())
        found["error"][name] = wrong / len(cosines)
        found["band"][name] = list(wilson(wrong, len(cosines)))
        found["eer"][name] = equal_error_rate(cosines, pairs.same)
    change = paired_drop_of(*right)
    kept = {"right": packed(right[-1].tolist())}
    return found | {"change": change._asdict() | {"band": list(change.band)}} | kept


def judged_rightly(cosines: Tensor, same: Tensor) -> Tensor:
    """Which pairs [n] the cosine judges rightly, each fold by the threshold that is best on the others."""
    fold = torch.arange(len(same)) % FOLDS
    right = torch.zeros_like(same)
    for k in range(FOLDS):
        threshold = best_threshold(cosines[fold != k], same[fold != k])
        here = fold == k
        right[here] = (cosines[here] > threshold) == same[here]
    return right


def best_threshold(cosines: Tensor, same: Tensor) -> float:
    """The cosine above which pairs are best taken for the same: the middle of a gap; the lowest of equals."""
    values, turned_away, let_in = _cuts(cosines, same)
    ends = torch.cat([values[:1] - 1, values, values[-1:] + 1])
    place = int((turned_away + let_in).argmin())
    return float(ends[place] + ends[place + 1]) / 2


def equal_error_rate(cosines: Tensor, same: Tensor) -> float:
    """The share of errors, in [0, 1], where those among the same and those among the different are alike."""
    _, turned_away, let_in = _cuts(cosines, same)
    one, other = turned_away / same.sum(), let_in / (~same).sum()
    nearest = int((one - other).abs().nan_to_num(nan=torch.inf).argmin())
    return float(one[nearest] + other[nearest]) / 2


def _cuts(cosines: Tensor, same: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The cosines in order, [n], and the errors of each threshold: before each, and behind the last, [n + 1].

    How many of the same are below it, and how many of the different above; infinitely many where equal
    cosines leave no room for a threshold.
    """
    values, order = cosines.double().sort()
    alike = same[order].double()
    turned_away = torch.cat([alike.new_zeros(1), alike.cumsum(0)])
    let_in = torch.cat([(1 - alike).flip(0).cumsum(0).flip(0), alike.new_zeros(1)])
    none = torch.cat([values.new_zeros(1), values, values.new_zeros(1)]).diff() == 0
    none[[0, -1]] = False
    return values, turned_away.masked_fill(none, torch.inf), let_in.masked_fill(none, torch.inf)
