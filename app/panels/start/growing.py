"""The recorded run plays: noise becomes images, and under each stands what the network takes it for."""

from typing import Any

import streamlit as st

from app.charts.images import synthesis
from app.components import mount
from app.engine_calls.choices import title_of
from app.panels.images.growth import film, live_chart
from app.panels.start.bits import data_address
from app.run_files.history import History
from app.run_files.run_folders import shipped
from app.wording.words import plain, size_words
from engine.core.percent import percent
from engine.run.benches.start.shipped import FILM
from engine.run.folders.folder import RunFolder

MAP_PX = 330


def growing(folder: RunFolder, history: History) -> None:
    """The film and the run's outcome on the left, map and real images on the right."""
    found = shipped(FILM)
    if found is not None and found[0]["run"] != folder.run_id:
        found = None
    said = {} if found is None else _said(found[0])
    left, right = st.columns([6, 6], gap="medium")
    with left:
        film(folder, history, autoplay=True, loop=True, brief=True, **said)
        _outcome(folder)
    with right:
        st.markdown(
            "**Do they agree with what the network remembers?** A row is a layer, from the first to the "
            "last; dark means that the images' statistics are those of the training data."
            + _coarse(folder)
        )
        _map(folder, history)
        if found is not None:
            _trained_on(*found)


def _coarse(folder: RunFolder) -> str:
    """What the step in the map is, where images begin at half their size."""
    share = folder.recipe.synthesis_settings.get("coarse")
    if not share:
        return ""
    step = round(share * folder.recipe.synthesis_settings["steps"])
    return f" Up to step {step} it sees the images at half their size: large shapes first."


def _map(folder: RunFolder, history: History) -> None:
    total = next((e["total_steps"] for e in history.of("stage-started", stage="synthesis")), 0)
    chart = synthesis.gap_map(history.started["bn_layers"], total_steps=total, height=MAP_PX)
    chart.figure["config"] = {
        "displayModeBar": False
    }  # its buttons would stand before the first card
    live_chart(chart, folder, history, key="gap", cursor="reveal", pick=True)


def _said(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "classes": result["classes"],
        "said": {frame["file"]: frame for frame in result["frames"]},
    }


def _trained_on(result: dict[str, Any], picture: bytes) -> None:
    st.markdown("**What it was trained on**, for comparison: the method never saw these.")
    mount.tiles(
        key="trained-on",
        sheet=data_address(picture),
        layout=result["real"]["layout"],
        classes=result["classes"],
        said=result["real"],
        alt="Real images, one of each class; the network sees:",
    )


def _outcome(folder: RunFolder) -> None:
    """What the run lost and saved, and the way to it."""
    result = folder.result()
    recipe = folder.recipe
    words = (
        f"A recorded run: {plain(title_of('models', recipe.model))}, its weights brought to "
        f"{recipe.weight_bits} bits and its activations to {recipe.activation_bits}; images by "
        f"{plain(title_of('synthesis', recipe.synthesis))}, rounding by "
        f"{plain(title_of('quantization', recipe.quantization))}."
    )
    if result is not None and result.get("fp32_top1") is not None:
        size = result["size_bytes"]
        words += (
            f" It is right on **{percent(result['quantized_top1'])}** of {result['test_images']:,} test "
            f"images (with full weights {percent(result['fp32_top1'])}), in "
            f"{size_words(size['quantized'])} instead of {size_words(size['fp32'])}."
        )
    st.markdown(words)
