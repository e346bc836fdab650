"""Which other run is this one to be held against? Those that differ least from it come first."""

import dataclasses
from typing import Any

import streamlit as st

from app.engine_calls.choices import title_of
from app.panels.answers.nearest_comparison import PLAIN, plain_run, start_plain
from app.panels.shared.press import button
from app.run_files.run_folders import is_recorded, recorded_run, runs_folder
from app.wording.data_words import bits_of
from app.wording.words import plain
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.recipes.recipe import Recipe

MOST = 7
# What tells two runs apart, the most telling first; a setting of a method counts with the method.
TOLD = ("quantization", "synthesis", "bits", "model", "seed", "images", "preset")


def compare_with(folder: RunFolder) -> None:
    """The button; under it a link for each run that this one may be held against."""
    with st.popover("Compare", icon=":material/compare_arrows:", key="compare-with"):
        others = nearest_relatives(folder)
        if others:
            st.caption("This run beside another, results first. What the other has instead:")
        for other, words in others[:MOST]:
            both = f"{folder.run_id},{other.run_id}"
            st.page_link("views/runs.py", label=plain(words), query_params={"runs": both})
        if not others:
            st.caption("There is no other run of this network yet.")
        _missing(folder)


def _missing(folder: RunFolder) -> None:
    """A way to the one comparison that says whether the quantizer is worth its while."""
    recipe = folder.recipe
    if recipe.quantization == PLAIN or recipe.forked_from or plain_run(recipe) is not None:
        return
    if button("Run it with nearest rounding", key="compare-nearest", width="stretch"):
        start_plain(recipe)


def nearest_relatives(folder: RunFolder) -> list[tuple[RunFolder, str]]:
    """Runs of the same network, those that differ in least first; each with what it has instead."""
    mine = folder.recipe
    recorded = recorded_run()
    found = []
    for other in [*list_runs(runs_folder()), *([recorded] if recorded else [])]:
        try:
            its = other.recipe
        except (OSError, TypeError, ValueError):
            continue
        if other.run_id == folder.run_id or its.model != mine.model:
            continue
        differing = differences(mine, its)
        rank = len(differing), min((TOLD.index(name) for name in differing), default=len(TOLD))
        words = ", ".join(differing.values()) or "the same recipe"
        mark = " (recorded)" if is_recorded(other) else ""
        found.append((rank, other, words[0].upper() + words[1:] + mark))
    return [(other, words) for _, other, words in sorted(found, key=lambda one: one[0])]


def differences(mine: Recipe, its: Recipe) -> dict[str, str]:
    """What the other recipe has instead, in words, by what of `TOLD` it is."""
    values: dict[str, tuple[Any, Any, str]] = {
        "quantization": (*_both(mine, its, "quantization"), title_of("quantization", its.quantization)),
        "synthesis": (*_both(mine, its, "synthesis"), f"images: {title_of('synthesis', its.synthesis)}"),
        "bits": (bits_of(mine), bits_of(its), bits_of(its)),
        "seed": (mine.seed, its.seed, f"seed {its.seed}"),
        "images": (mine.images, its.images, f"{its.images} images"),
    }  # fmt: skip
    found = {name: words for name, (one, other, words) in values.items() if one != other}
    for kind in ("quantization", "synthesis"):
        same = getattr(mine, kind) == getattr(its, kind)
        if kind in found and same:
            found[kind] = f"{found[kind]} with other settings"
    return found


def _both(mine: Recipe, its: Recipe, kind: str) -> tuple[Any, Any]:
    def of(one: Recipe) -> Any:
        return getattr(one, kind), dataclasses.asdict(one)[f"{kind}_settings"]

    return of(mine), of(its)
