"""Is the method worth its while? The same recipe with its weights rounded to nearest, beside it."""

import dataclasses
from typing import Any

import streamlit as st

from app.actions import start_run
from app.charts.results import Accuracy, accuracies, overlap
from app.charts.style import QUANTIZED, QUIET
from app.choices import load_catalog, title_of
from app.components import mount
from app.places import runs_folder
from app.text import explain
from engine.core.errors import UserError
from engine.run.folder import RunFolder, list_runs
from engine.run.recipe import Recipe, find

PLAIN = "nearest"
FREE = ("quantization", "quantization_settings", "preset")  # in what the two may differ


def gain_panel(folder: RunFolder) -> None:
    """The two accuracies with their bands and what they allow to say, or a button for the missing one."""
    recipe, result = folder.recipe, folder.result()
    if result is None or recipe.quantization == PLAIN or recipe.forked_from:
        return
    st.subheader("Is it better than rounding to nearest?", help=explain("gain"))
    plain = plain_run(recipe)
    if plain is None:
        st.caption(
            "The same recipe with every weight at its nearest level is not here to compare with."
        )
        if st.button("Run it with nearest rounding", key="gain-nearest"):
            _start(recipe)
        return
    other = plain.result() or {}
    mine, its = (
        _accuracy(_name(recipe), result, QUANTIZED),
        _accuracy(_name(plain.recipe), other, QUIET),
    )
    if mine is None or its is None:
        if result.get("embedding_cosine"):
            kept = [one["embedding_cosine"]["mean"] for one in (result, other)]
            st.markdown(
                f"The embeddings keep a mean cosine of {kept[0]:.4f}; with nearest rounding {kept[1]:.4f}."
            )
            return
        st.markdown(
            f"The test images have no labels. Teacher and student agree on {result['agreement']:.1%}; "
            f"with nearest rounding on {other['agreement']:.1%}."
        )
        return
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    with left:
        key = f"gain-{folder.run_id}-{plain.run_id}"
        mount.live_plot(accuracies([its, mine]), key=key, run=folder.run_id, offset=0)
    with right:
        st.markdown(gain_words(mine, its))
        st.caption(f"{_fine_print(result, other)} Nearest: run `{plain.run_id}`.")


def gain_words(mine: Accuracy, its: Accuracy) -> str:
    """What the bands allow to say of this run beside nearest rounding."""
    points = 100 * (mine.top1 - its.top1)
    if overlap(mine, its):
        return (
            f"**Not distinguishable from nearest** ({points:+.2f} points): the 95 % bands overlap. On this "
            "network, at these bits, nothing shows that the method helps."
        )
    if points > 0:
        return (
            f"**{points:.1f} points better** than nearest rounding; the 95 % bands do not overlap."
        )
    return (
        f"**{-points:.1f} points worse** than nearest rounding; the 95 % bands do not overlap. The method "
        "does harm here: fewer or poorer images than it needs, or settings that do not suit them."
    )


def plain_run(recipe: Recipe) -> RunFolder | None:
    """The finished run of the same recipe with nearest rounding, the newest; None where there is none."""
    for other in list_runs(runs_folder()):
        try:
            found = other.recipe
        except (OSError, TypeError, ValueError):
            continue
        if found.quantization == PLAIN and _same(recipe, found) and other.result() is not None:
            return other
    return None


def _same(recipe: Recipe, plain: Recipe) -> bool:
    """Whether they differ in nothing but the rounding: ranges and corrections are the same too."""
    one, other = dataclasses.asdict(recipe), dataclasses.asdict(plain)
    rest = all(one[name] == other[name] for name in one if name not in FREE)
    mine = recipe.quantization_settings
    settings = plain.quantization_settings.items()
    return rest and all(mine[name] == value for name, value in settings if name in mine)


def _start(recipe: Recipe) -> None:
    fields = dataclasses.asdict(recipe)
    try:
        known = {knob["name"] for knob in find(load_catalog(), "quantization", PLAIN)["settings"]}
    except (UserError, RuntimeError, OSError) as error:
        st.error(str(error))
        return
    shared = {k: v for k, v in recipe.quantization_settings.items() if k in known}
    start_run(fields | {"quantization": PLAIN, "quantization_settings": shared})


def _fine_print(mine: dict[str, Any], its: dict[str, Any]) -> str:
    """How far both are from the teacher's answers, which needs no label, and how it was judged."""
    judged = (
        f"Same network, images and seed; {mine['test_images']:,} test images; bands: 95 %, Wilson."
    )
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
