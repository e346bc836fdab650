"""Answers to why a run is as it is: origins of errors, answers that change, bits of layers."""

from collections.abc import Sequence

from engine.run.exports.shapes.kinds import By, Count, Found, Maybe, are_indices
from engine.run.questions.why.fewer_bits.fader import WIDTHS, follow_bits

PARTS = dict.fromkeys(("weights", "activations", "inherited", "interaction"), float)
BOTH = ("teacher", "student")
BIN = {
    "low": float,
    "high": float,
    "images": Count(),
    "confidence": Maybe(float),
    "accuracy": Maybe(float),
}
USUAL = {name: [float] for name in ("mean", "low", "high")}
BITS = {"weight_bits": By(Count()), "activation_bits": By(Maybe(Count()))}
EXPLAIN = {
    "run": str, "images": Count(), "image_set": str, "sentence": str, "notes": [str],
    "layers": [{
        "path": str, "block": str, "sqnr_local_db": Maybe(float), "sqnr_accumulated_db": float,
        "share": Maybe(PARTS), "origin": str, "origin_gain": float, "verdict": str,
    }],
}  # fmt: skip
PREDICTIONS = {
    "run": str, "images": Count(), "image_set": str, "sentence": str, "notes": [str], "truth": str,
    "reason?": str, "classes": [str], "agreement": float, "agreement_band": [float],
    "flipped": [{
        "image": Count(), "teacher": Count(), "student": Count(), "margin_teacher": float,
        "margin_student": float, "label?": int,
    }],
    "by_class": [{"class": Count(), "images": Count(), "agreement": float, "low": float, "high": float}],
    "confusion_difference": [{"true": Count(), "answer": Count(), "difference": int}],
    "margins": {who: [Count()] for who in BOTH},
    "ece": Maybe(dict.fromkeys(BOTH, float)),
    "reliability": Maybe({who: [BIN] for who in BOTH}),
    "growth": {"layers": [str], "usual": USUAL, "images": By([float])},
    "pictures": By(str),
}  # fmt: skip
FEWER_BITS = {
    "run": str, "notes": [str], "planned": BITS, "held": BITS, "shared_inputs": [[str]],
    "layers": [
        {"path": str, "sqnr_db": {str(width): float for width in WIDTHS}, "cliff": Maybe(Count())}
    ],
    "front": [BITS | {
        "size_bytes": Count(), "predicted_kl": float,
        "measured": Maybe({"kl": float, "agreement": float}),
    }],
    "tables": {
        "paths": [str], "signal": [float], "noise": [[[float]]], "weights": [Count()],
        "rest_bytes": [Count()], "macs": [Count()], "kl_weights": Maybe([[float]]),
        "kl_inputs": Maybe([[float]]),
    },
}  # fmt: skip


def predictions_fit(found: Found, _layers: Sequence[str]) -> bool:
    """Whether lists that are read side by side are as long as one another, and names are images."""
    growth = found["growth"]
    rows = [*growth["usual"].values(), *growth["images"].values()]
    ends = [len(found["margins"][who]) for who in BOTH]
    return (
        len(found["agreement_band"]) == 2
        and all(len(row) == len(growth["layers"]) for row in rows)
        and are_indices([*growth["images"], *found["pictures"]])
        and ends[0] == ends[1] >= 10
    )


def bits_fit(found: Found, _layers: Sequence[str]) -> bool:
    """Whether every width of every layer is in the tables, as the fader asks for them."""
    paths, planned = found["tables"]["paths"], found["planned"]
    if not paths or paths != [one["path"] for one in found["layers"]]:
        return False
    try:
        for width in WIDTHS:
            follow_bits(found, dict.fromkeys(paths, width), dict.fromkeys(paths, width))
        for bits in (planned, *found["front"]):
            follow_bits(found, bits["weight_bits"], bits["activation_bits"])
    except (ValueError, LookupError, TypeError, OverflowError):
        return False
    return True
