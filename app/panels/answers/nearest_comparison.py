"""Is the method worth its while? The same recipe with its weights rounded to nearest, beside it."""

import dataclasses
from typing import Any

import streamlit as st

from app.charts.outcomes.results import Accuracy, accuracies, overlap
from app.charts.style import QUANTIZED, QUIET
from app.components import mount
from app.engine_calls.actions import start_run
from app.engine_calls.choices import load_catalog, title_of
from app.panels.shared import measured
from app.panels.shared.press import button
from app.run_files.run_folders import runs_folder
from app.text import explain
from app.wording.engine_words import page_text
from engine.core.errors import UserError
from engine.core.paired import PairedDrop, drop_between
from engine.core.percent import BAND
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.recipes.recipe import Recipe, find

TITLE = "Is it better than rounding to nearest?"
PLAIN = "nearest"
OWN = "own"  # of a setting of mixed bits: as the quantizer behind has it
FREE = ("quantization", "quantization_settings", "preset")  # in what the two may differ


def gain_panel(folder: RunFolder) -> None:
    """The two accuracies with their bands and what they allow to say, or a button for the missing one."""
    recipe, result = folder.recipe, folder.result()
    if result is None or why_no_gain(recipe):
        return
    st.subheader(TITLE, help=explain("gain"))
    plain = plain_run(recipe)
    if plain is None:
        st.caption(
            "The same recipe with every weight at its nearest level is not here to compare with."
        )
        if button("Run it with nearest rounding", key="gain-nearest"):
            start_plain(recipe)
        return
    other = plain.result() or {}
    mine, its = (
        _accuracy(_name(recipe), result, QUANTIZED),
        _accuracy(_name(plain.recipe), other, QUIET),
    )
    if mine is None or its is None:
        st.markdown(measured.compared(result, other))
        return
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    with left:
        key = f"gain-{folder.run_id}-{plain.run_id}"
        mount.live_plot(accuracies([its, mine]), key=key, run=folder.run_id, offset=0)
    with right:
        st.markdown(gain_words(mine, its, paired_gain(result, other)))
        st.caption(_fine_print(result, other))


def why_no_gain(recipe: Recipe) -> str:
    """Why there is nothing to hold the run against, in a sentence; empty where there is."""
    if recipe.quantization == PLAIN:
        return "This run rounds to the nearest itself: run its recipe with another quantizer."
    if recipe.forked_from:
        return "This run was forked, and no other has its images: compare it on the page Runs."
    return ""


def gain_words(mine: Accuracy, its: Accuracy, paired: PairedDrop | None) -> str:
    """What the test images allow to say of this run beside nearest rounding.

    `paired` is known where both runs kept which images they have right; bands alone can only tell
    apart what lies further apart.
    """
    points = 100 * (mine.top1 - its.top1)
    if paired is None:
        low, high = (-1.0, 1.0) if overlap(mine, its) else (points, points)
        how = f"the runs' own {BAND} bands" + (
            " overlap" if overlap(mine, its) else " do not overlap"
        )
    else:
        low, high = 100 * paired.band.low, 100 * paired.band.high
        how = (
            f"image by image {low:+.2f} to {high:+.2f}, {BAND}: {paired.lost:,} images right that nearest "
            f"has wrong, {paired.won:,} the other way round"
        )
    if low > 0:
        return f"**{points:.2f} points better** than nearest rounding ({how})."
    if high < 0:
        return (
            f"**{-points:.2f} points worse** than nearest rounding ({how}). The method "
            "does harm here: fewer or poorer images than it needs, or settings that do not suit them."
        )
    return (
        f"**Not distinguishable from nearest** ({points:+.2f} points; {how}). On this "
        "network, at these bits, nothing shows that the method helps."
    )


def paired_gain(result: dict[str, Any], other: dict[str, Any]) -> PairedDrop | None:
    """What a run gains over another, image by image; None where one did not keep its answers."""
    same = all(result.get(name) == other.get(name) for name in ("test_images", "test_set"))
    if not same or not result.get("right") or not other.get("right"):
        return None
    try:
        return drop_between(result["right"], other["right"], result["test_images"])
    except (TypeError, ValueError):
        return None


def plain_run(recipe: Recipe) -> RunFolder | None:
    """The finished run of the same recipe with nearest rounding, the newest; None where there is none."""
    try:
        settings = _shared(recipe)
    except (UserError, RuntimeError, OSError, LookupError):
        return None
    for other in list_runs(runs_folder()):
        try:
            found = other.recipe
        except (OSError, TypeError, ValueError):
            continue
        is_plain = found.quantization == PLAIN and other.result() is not None
        if is_plain and _same(recipe, settings, found):
            return other
    return None


def _same(recipe: Recipe, mine: dict[str, Any], plain: Recipe) -> bool:
    """Whether they differ in nothing but the rounding: ranges and corrections are the same too."""
    one, other = dataclasses.asdict(recipe), dataclasses.asdict(plain)
    rest = all(one[name] == other[name] for name in one if name not in FREE)
    settings = plain.quantization_settings.items()
    return rest and all(mine[name] == value for name, value in settings if name in mine)


def _shared(recipe: Recipe) -> dict[str, Any]:
    """The settings as nearest rounding would have them; of mixed bits, those of the quantizer behind."""
    settings = dict(recipe.quantization_settings)
    if settings.get("batchnorm") == OWN:
        behind = find(load_catalog(), "quantization", settings["rounding"])["settings"]
        own = next(knob["presets"] for knob in behind if knob["name"] == "batchnorm")
        settings["batchnorm"] = own[settings.get("effort", "paper")]
    return settings


def start_plain(recipe: Recipe) -> None:
    fields = dataclasses.asdict(recipe)
    try:
        known = {knob["name"] for knob in find(load_catalog(), "quantization", PLAIN)["settings"]}
        shared = {k: v for k, v in _shared(recipe).items() if k in known}
    except (UserError, RuntimeError, OSError) as error:
        st.error(page_text(error))
        return
    start_run(fields | {"quantization": PLAIN, "quantization_settings": shared})


def _fine_print(mine: dict[str, Any], its: dict[str, Any]) -> str:
    """How far both are from the teacher's answers, which needs no label, and how it was judged."""
    judged = f"Same network, images and seed; {mine['test_images']:,} test images; bands: {BAND}, Wilson."
    if mine.get("logit_kl") is None or its.get("logit_kl") is None:
        return judged
    return f"{judged} KL to the teacher's answers {mine['logit_kl']:.3g}, nearest {its['logit_kl']:.3g}."


def _name(recipe: Recipe) -> str:
    return title_of("quantization", recipe.quantization)


def _accuracy(name: str, result: dict[str, Any], colour: str) -> Accuracy | None:
    band = (result.get("top1_band") or {}).get("quantized")
    if result.get("quantized_top1") is None or not band:
        return None
    return Accuracy(
        name=name, top1=result["quantized_top1"], low=band[0], high=band[1], colour=colour
    )
