"""Which run is better, and is it more than chance? Accuracies with bands, pairs on the same test images."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.charts.layers.dumbbells import dumbbells, height_px
from app.charts.outcomes.results import Accuracy, accuracies
from app.charts.panels import letter
from app.charts.style import SERIES
from app.components import mount
from app.panels.shared import measured
from app.panels.shared.room import room
from app.run_files.run_folders import is_live, state_of
from app.text import explain
from engine.core.percent import percent
from engine.run.folders.folder import ACTIVE
from engine.run.questions.better import better
from engine.run.questions.compare import Side
from engine.run.recipes.recipe import Recipe
from engine.run.stages.synthesis.reuse import synthesis_key

CHART_REM = (4.5, 3.25)  # of the accuracies: at least, and for each of them
WORDS_REM = 2.5  # above the chart of the layers


def results(sides: Sequence[Side]) -> None:
    """The accuracies, what the pairs allow to say, and whether the images are the same."""
    least, each = CHART_REM
    with room("compared", least + each * len(sides) if _is_awaited(sides) else 0):
        _results(sides)


def _is_awaited(sides: Sequence[Side]) -> bool:
    return any(is_live(side.run) and state_of(side.run) in ACTIVE for side in sides)


def _results(sides: Sequence[Side]) -> None:
    found = [side.run.result() or {} for side in sides]
    by_pairs = not any(_accuracy(k, one) for k, one in enumerate(found))
    row_of = _verified if by_pairs else _accuracy
    rows = [row for k, one in enumerate(found) if (row := row_of(k, one))]
    missing = [letter(k) for k, one in enumerate(found) if row_of(k, one) is None]
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    with left:
        if rows:
            key = "accuracies-" + "-".join(side.run.run_id[-8:] for side in sides)
            read = sum(bool(one) for one in found)
            what = "pairs judged rightly" if by_pairs else "top-1"
            chart = accuracies(rows, [letter(k) for k in range(len(sides))], what)
            mount.live_plot(chart, key=key, run=sides[0].run.run_id, offset=read)
    with right:
        for k in range(1, len(found)):
            if not {letter(0), letter(k)} & set(missing):
                st.markdown(verdict(letter(k), found[k], letter(0), found[0]))
        told = {
            letter(k): words for k, one in enumerate(found) if (words := measured.standing(one))
        }
        st.markdown("\n".join(f"- **{name}**: {words}" for name, words in told.items()))
        for k, one in enumerate(found):
            if letter(k) in missing and letter(k) not in told:
                st.caption(_without_accuracy(letter(k), one))
        st.markdown(same_images(sides))


def _without_accuracy(name: str, result: dict[str, Any]) -> str:
    """Why a run has none: it is not judged yet, or was judged without labels."""
    if not result:
        return f"No accuracy yet of {name}."
    agreement = result.get("agreement")
    how = "" if agreement is None else f": {percent(agreement)} of its answers are its teacher's"
    return f"{name} was judged without labels{how}."


def verdict(name: str, mine: dict[str, Any], other: str, its: dict[str, Any]) -> str:
    """Which of two is better, as far as their test images, or pairs of them, can tell."""
    said: str = better(mine, its, (name, other))["sentence"]
    return said


def same_images(sides: Sequence[Side]) -> str:
    """Whether all were calibrated with the same images, and so what a difference can come from."""
    recipes = [side.run.recipe for side in sides]
    if len({synthesis_key(one) for one in recipes}) == 1:
        return ":material/check: **Same images: yes.** What differs comes of the quantizer."
    if len({json.dumps(_of_quantizer(one), sort_keys=True) for one in recipes}) == 1:
        return ":material/close: **Same images: no; same quantizer: yes.** It comes of the images."
    return ":material/close: **Same images: no.** What differs comes of the images, the quantizer, or both."


def _of_quantizer(recipe: Recipe) -> list[Any]:
    return [recipe.model, recipe.quantization, recipe.quantization_settings, recipe.weight_bits,
            recipe.activation_bits, recipe.edge_rule]  # fmt: skip


def layers(sides: Sequence[Side]) -> None:
    """A and B layer by layer on one axis; nothing where their layers are not the same."""
    by_layer = [_sqnr(side) for side in sides[:2]]
    rows = max(len(one) for one in by_layer)
    height = WORDS_REM + height_px(rows) / 16 if rows and _is_awaited(sides) else 0
    with room("layers-compared", height):
        _layers(sides, by_layer)


def _layers(sides: Sequence[Side], by_layer: list[dict[str, float]]) -> None:
    paths = [path for path in by_layer[0] if path in by_layer[1]]
    if not paths:
        st.caption("Their layers are not measured yet, or are not the same ones.")
        return
    far = max(paths, key=lambda path: abs(by_layer[1][path] - by_layer[0][path]))
    gap = by_layer[1][far] - by_layer[0][far]
    apart = f"B has {abs(gap):.1f} dB {'more' if gap > 0 else 'less'} signal over noise"
    said = f"They are furthest apart in `{far}`: {apart}. Right: better."
    st.markdown(f"{_noisier(by_layer, paths)} {said}")
    chart = dumbbells(
        paths, [[one[path] for path in paths] for one in by_layer], "SQNR with all layers before it, dB"
    )  # fmt: skip
    key = "dumbbells-" + "-".join(side.run.run_id[-8:] for side in sides[:2])
    mount.live_plot(chart, key=key, run=sides[0].run.run_id, offset=len(paths))


def _noisier(by_layer: Sequence[Mapping[str, float]], paths: Sequence[str]) -> str:
    """Which of both has more noise, in how many of the layers."""
    more = sum(by_layer[1][path] < by_layer[0][path] for path in paths)
    less = sum(by_layer[1][path] > by_layer[0][path] for path in paths)
    if not more and not less:
        return "**No layer of B has more or less noise than of A.**"
    many, name, other = (more, "B", "A") if more >= less else (less, "A", "B")
    rest = len(paths) - many
    words = f"{name} is noisier than {other} in {many} of {len(paths)} layers"
    return f"**{words}{', and no noisier in the others' if rest else ''}.**"


def layers_heading() -> None:
    """The question that `layers` answers."""
    st.subheader("Which layers differ?", help=explain("sqnr"))


def _sqnr(side: Side) -> dict[str, float]:
    rows = (side.run.result() or {}).get("layers") or []
    return {
        row["path"]: row["sqnr_accumulated_db"]
        for row in rows
        if isinstance(row.get("sqnr_accumulated_db"), int | float)
    }


def _accuracy(k: int, result: dict[str, Any]) -> Accuracy | None:
    top1, band = result.get("quantized_top1"), (result.get("top1_band") or {}).get("quantized")
    if top1 is None or not band:
        return None
    return Accuracy(
        name=letter(k), top1=top1, low=band[0], high=band[1], colour=SERIES[k % len(SERIES)]
    )


def _verified(k: int, result: dict[str, Any]) -> Accuracy | None:
    """The share of pairs that an embedding judges rightly."""
    found = result.get("verification")
    if not found:
        return None
    low, high = found["band"]["quantized"]
    return Accuracy(
        name=letter(k), top1=1 - found["error"]["quantized"], low=1 - high, high=1 - low,
        colour=SERIES[k % len(SERIES)],
    )  # fmt: skip
