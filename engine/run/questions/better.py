"""Which of two finished runs is better, and is it chance? By the same test images, or pairs of them.

Runs of classes are compared by top-1, runs of embeddings by verification: on the same images or pairs, so
that what both have wrong does not blur the difference. Imports no torch.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.core.paired import PairedDrop, drop_between
from engine.core.percent import BAND

Result = Mapping[str, Any]


class _Judged(NamedTuple):
    """What a result is judged by: the share that is right, its band, which are right, and of how many."""

    share: float
    band: tuple[float, float]
    right: str | None  # as engine.core.paired.packed writes it
    number: int
    each: str  # images or pairs


def better(mine: Result, its: Result, names: tuple[str, str] = ("A", "B")) -> dict[str, Any]:
    """{"by", "points", "paired", "sure", "sentence"} of the first result beside the second.

    `by`: top-1 or verification, None where one has neither or they differ in it; `points`: hundredths that
    the first has more right, None without; `paired`: {"lost", "won", "share", "band"} of the first's gain
    over the second, in [-1, 1], lost being what it alone has right; None where the test sets differ or the
    answers were not kept; `sure`: whether the difference is more than chance.
    """
    one, other = judged(mine), judged(its)
    if one is None or other is None or one.each != other.each:
        said = (
            "have nothing in common that they could be compared by: both need labelled test images"
        )
        return _found(None, None, None, f"**{names[0]} and {names[1]}** {said}.")
    by = "top-1" if one.each == "images" else "verification"
    points = 100 * (one.share - other.share)
    if not _same_set(mine, its):
        said = f"were judged on other test images: {points:+.2f} points say little"
        return _found(by, points, None, f"**{names[0]} and {names[1]}** {said}.")
    paired = paired_between(mine, its)
    sure, how = _how_sure(one, other, paired, names[1])
    if not sure:
        said = (
            f"**{names[0]} and {names[1]} are not distinguishable** ({points:+.2f} points; {how})."
        )
    else:
        word = "better" if points > 0 else "worse"
        said = f"**{names[0]} is {abs(points):.2f} points {word} than {names[1]}** ({how})."
    return _found(by, points, paired, said, sure=sure)


def _found(
    by: str | None,
    points: float | None,
    paired: PairedDrop | None,
    sentence: str,
    *,
    sure: bool = False,
) -> dict[str, Any]:
    told = None if paired is None else paired._asdict() | {"band": list(paired.band)}
    return {"by": by, "points": points, "paired": told, "sure": sure, "sentence": sentence}


def judged(result: Result) -> _Judged | None:
    """Top-1 of classes, else verification of embeddings; None of what has neither."""
    if result.get("quantized_top1") is not None:
        band = (result.get("top1_band") or {}).get("quantized") or (0.0, 1.0)  # not kept: any
        right, count = result.get("right"), int(result.get("test_images") or 0)
        return _Judged(result["quantized_top1"], tuple(band), right, count, "images")
    found = result.get("verification")
    if not found:
        return None
    low, high = found["band"]["quantized"]  # of the share that is wrong
    share = 1 - found["error"]["quantized"]
    return _Judged(share, (1 - high, 1 - low), found.get("right"), found["pairs"], "pairs")


def _same_set(mine: Result, its: Result) -> bool:
    return all(mine.get(what) == its.get(what) for what in ("test_images", "test_set"))


def _how_sure(
    one: _Judged, other: _Judged, paired: PairedDrop | None, name: str
) -> tuple[bool, str]:
    if paired is None:
        sure = one.band[0] > other.band[1] or one.band[1] < other.band[0]
        return sure, f"their {BAND} bands {'do not overlap' if sure else 'overlap'}"
    low, high = 100 * paired.band.low, 100 * paired.band.high
    each = one.each.removesuffix("s")
    return low > 0 or high < 0, (
        f"{each} by {each} {low:+.2f} to {high:+.2f}, {BAND}: {paired.lost:,} {one.each} right that {name} "
        f"has wrong, {paired.won:,} the other way round"
    )


def paired_between(mine: Result, its: Result) -> PairedDrop | None:
    """By how much the first is above the second, image by image, or pair by pair of embeddings.

    None where one kept no answers, or they are not of equally many. That the test sets are the same is
    for the caller to see.
    """
    one, other = judged(mine), judged(its)
    if one is None or other is None or (one.each, one.number) != (other.each, other.number):
        return None
    if not one.right or not other.right:
        return None
    try:
        return drop_between(one.right, other.right, one.number)
    except (TypeError, ValueError):
        return None
