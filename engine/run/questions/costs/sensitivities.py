"""Which layers mind losing bits, by four measures side by side: do they agree, and what does each take?

Sensitivity is what mixed precision deals bits by. The cheap measures look at a layer alone; only the
divergence of the answers looks at what a network is for. Imports torch.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from engine.analysis.layers.ranks import rank_correlations
from engine.core.sampling.randomness import stream
from engine.quantization.bits.partial_student import PartialStudent
from engine.quantization.bits.sensitivity import Sensitivities
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.fewer_bits.bits import check_widths
from engine.run.questions.why.opened import Opened, Tell, open_run, tell_nobody
from engine.run.stages.quantization.quantize import chosen_method

WIDTHS = (2, 3, 4, 6, 8)
IMAGES = 64  # calibration images that the answers and the curvature are measured on
PROBES = 50  # mini-batches of the curvature, as `mixed` takes them
MEASURES = ("sqnr", "output", "hessian", "kl")  # as `mixed` calls them
OF_SCORES = ("hessian", "kl")  # which need scores of classes
REFERENCE = "kl"  # the one that looks at the answers themselves
NAMES = {
    "sqnr": "noise of the weights", "output": "error of the layer's output",
    "hessian": "curvature times error", "kl": "divergence of the answers",
}  # fmt: skip
AGREES = 0.8  # mean rank correlation from which one measure may stand for another
Values = dict[str, dict[int, list[float]]]  # by measure and width, of each layer


def sensitivities(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """What `python -m engine sensitivities RUN --json` prints: every layer's weights, one width at a time.

    `widths`, `measures`: those that were measured. `layers`: path, trace (of the curvature, or None) and
    `values`, `ranks` by measure and width (rank 1: minds most; equals share a rank). `agreement`: for each
    pair of measures `a`, `b`: `spearman` and `kendall`, the means over the widths, None where no width has
    one, and `by_bits`. `seconds`: of each measure, and of fitting the grids, which all of them share.
    `best`: the cheapest measure that may stand for the divergence of the answers, or None.
    """
    run = open_run(folder, images=1)
    check_widths(run.plan)
    partial, fitting_s = _fitted(run)
    kinds = [one for one in MEASURES if one not in OF_SCORES or run.context.output.compares_scores]
    values: Values = {}
    seconds = {"fitting": fitting_s}
    traces: dict[str, float | None] = dict.fromkeys(run.plan)
    for done, kind in enumerate(kinds):
        tell(done, len(kinds), NAMES[kind])
        values[kind], seconds[kind], traced = _measured(run, partial, kind)
        traces |= traced
    agreement = [agree(values, a, b) for a, b in combinations(kinds, 2)]
    found: dict[str, Any] = {
        "run": folder.run_id,
        "widths": list(WIDTHS),
        "measures": kinds,
        "images": len(partial.images),
        "layers": _layers(list(run.plan), values, traces),
        "agreement": agreement,
        "seconds": seconds,
        "best": best(agreement, seconds),
    }
    return found | {"notes": _notes(kinds), "sentence": sentence(found)}


def _fitted(run: Opened) -> tuple[PartialStudent, float]:
    """The network with every layer's grid at every width, and how long those took."""
    begun = time.perf_counter()
    x = run.context.for_device(run.images[:IMAGES])
    makers = chosen_method(run.context).makers()
    partial = PartialStudent(run.teacher, run.blocks, run.plan, x, makers)
    for path in run.plan:
        for width in WIDTHS:
            partial.fitted(path, "weight", width)
    return partial, time.perf_counter() - begun


def _measured(
    run: Opened, partial: PartialStudent, kind: str
) -> tuple[dict[int, list[float]], float, dict[str, float | None]]:
    """(each layer's sensitivity by width, seconds, traces of the curvature)."""
    entries = [(path, "weight", width) for path in run.plan for width in WIDTHS]
    rng = stream(run.context.recipe.seed, "sensitivities")
    begun = time.perf_counter()
    machine = Sensitivities(partial, entries, kind=kind, probes=PROBES, rng=rng)
    for _ in range(machine.total_steps):
        machine.step()
    with torch.no_grad():
        values = {w: [machine.of(path, "weight", w) for path in run.plan] for w in WIDTHS}
    seconds = time.perf_counter() - begun
    traced = run.plan if kind == "hessian" else ()
    return values, seconds, {path: machine.trace(path) for path in traced}


def agree(values: Values, a: str, b: str) -> dict[str, Any]:
    """How alike two measures rank the layers, at each width and in the mean."""
    by_bits = {w: rank_correlations(values[a][w], values[b][w]) for w in values[a]}
    known = [one for one in by_bits.values() if one is not None]
    spearman, kendall = np.mean(known, axis=0).tolist() if known else (None, None)
    return {
        "a": a, "b": b, "spearman": spearman, "kendall": kendall,
        "by_bits": {
            str(w): None if one is None else {"spearman": one[0], "kendall": one[1]}
            for w, one in by_bits.items()
        },
    }  # fmt: skip


def _layers(
    paths: list[str], values: Values, traces: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    ranks = {
        kind: {w: rankdata([-one for one in at]).tolist() for w, at in by_width.items()}
        for kind, by_width in values.items()
    }

    def of(table: Mapping[str, Mapping[int, Sequence[float]]], k: int) -> dict[str, Any]:
        return {kind: {str(w): at[k] for w, at in by.items()} for kind, by in table.items()}

    return [
        {"path": path, "trace": traces[path], "values": of(values, k), "ranks": of(ranks, k)}
        for k, path in enumerate(paths)
    ]


def best(agreement: Sequence[Mapping[str, Any]], seconds: Mapping[str, float]) -> str | None:
    """The cheapest measure that ranks layers as the answers do, and takes less time than these."""
    able = [
        one["a"]
        for one in agreement
        if one["b"] == REFERENCE and one["spearman"] is not None and one["spearman"] >= AGREES
    ]
    cheaper = [one for one in able if seconds[one] < seconds[REFERENCE]]
    return min(cheaper, key=lambda one: seconds[one], default=None)


def sentence(found: Mapping[str, Any]) -> str:
    """Whether a cheaper measure would have done."""
    if REFERENCE not in found["measures"]:
        return _without_answers(found["agreement"])
    seconds, name = found["seconds"], found["best"]
    known = [
        one for one in found["agreement"] if one["b"] == REFERENCE and one["spearman"] is not None
    ]
    if not known:
        return "There are too few layers, or they are too alike, to rank them."
    if name is not None:
        rho = next(one["spearman"] for one in known if one["a"] == name)
        return (
            f"The {NAMES[name]} ranks the layers as the answers do (Spearman {rho:+.2f}), in "
            f"{seconds[name]:.2g} s instead of {seconds[REFERENCE]:.2g} s: it would have done."
        )
    nearest = max(known, key=lambda one: one["spearman"])
    return (
        "No cheaper measure ranks the layers as the answers do: the nearest is the "
        f"{NAMES[nearest['a']]} (Spearman {nearest['spearman']:+.2f}, {seconds[nearest['a']]:.2g} s), and "
        f"the answers themselves take {seconds[REFERENCE]:.2g} s."
    )


def _without_answers(agreement: Sequence[Mapping[str, Any]]) -> str:
    rho = agreement[0]["spearman"]
    said = "unknown" if rho is None else f"{rho:+.2f}"
    return (
        "This network gives no scores of classes; the noise of the weights and the error of the layers' "
        f"outputs rank the layers with a Spearman correlation of {said}."
    )


def _notes(kinds: Sequence[str]) -> list[str]:
    notes = [
        "Weights alone, on the grids of the run's quantizer, on calibration images; inputs are float."
    ]
    if "hessian" in kinds:
        notes.append(
            "Curvature: the trace of the Fisher matrix, with random signs as in Hutchinson's estimator, "
            f"{PROBES} mini-batches."
        )
    return notes
