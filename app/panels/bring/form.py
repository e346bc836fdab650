"""The second step: what its images are like, filled in with guesses."""

import re
from typing import Any

import streamlit as st

from app.wording.engine_words import page_text
from engine.core.errors import UserError
from engine.run.networks import Brought

NOT_READ = "{0} is {1!r}; write numbers with commas, one a channel"


def form_step(key: str, found: dict[str, Any]) -> Brought | None:
    """What the user says of the network; None where it cannot be understood."""
    proposal, best = found["proposal"], found["guesses"][0]
    st.subheader("2 · What are its images like?")
    st.markdown(
        "The file does not say, so these are **guesses**: " + "; ".join(proposal["reasons"]) + "."
    )
    channels, height, width = proposal["image_shape"]
    first, second, third = st.columns(3, gap="medium")
    with first:
        title = st.text_input("Title", proposal["title"], key=f"bring-title-{key}", max_chars=60)
        dataset = st.text_input(
            "Trained on", proposal["dataset"], key=f"bring-dataset-{key}", max_chars=60
        )
    with second:
        side = st.number_input(
            f"Pixels a side ({channels} channel{'s' if channels > 1 else ''})", 8, 1024, height,
            key=f"bring-side-{key}",
            help="Images are cropped to a square of so many pixels.",
        )  # fmt: skip
        resize = st.number_input(
            "Resize to", 8, 2048, max(proposal["resize"], 8), key=f"bring-resize-{key}",
            help="Larger images are first resized so that their short side has so many pixels.",
        )  # fmt: skip
    with third:
        mean = st.text_input(
            "Pixel mean", _text(proposal["mean"]), key=f"bring-mean-{key}",
            help="A value a channel, of pixels in [0, 1]. A wrong one costs accuracy in silence.",
        )  # fmt: skip
        std = st.text_input(
            "Pixel standard deviation", _text(proposal["std"]), key=f"bring-std-{key}"
        )
    names = st.text_input(
        f"Names of its {proposal['class_count']} classes, with commas (not needed)",
        ", ".join(proposal["classes"]),
        key=f"bring-classes-{key}",
        help="In the order of the network's scores. Class folders and labels in words refer to them.",
    )
    try:
        return Brought(
            weights="",
            architecture=best["architecture"],
            parameters=best["parameters"],
            image_shape=(channels, int(side), int(side) if height == width else width),
            mean=_numbers("Pixel mean", mean),
            std=_numbers("Pixel standard deviation", std),
            resize=int(resize),
            classes=_names(names, proposal["class_count"]),
            title=title.strip(),
            dataset=dataset.strip(),
        )
    except UserError as error:
        st.error(page_text(error))
        return None


def take_space(key: str, mean: list[float], std: list[float]) -> None:
    """Put another mean and std into the form; for a button's callback."""
    st.session_state[f"bring-mean-{key}"] = _text(mean)
    st.session_state[f"bring-std-{key}"] = _text(std)


def _text(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _numbers(label: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in re.split(r"[,\s]+", text.strip()) if part)
    except ValueError:
        raise UserError(NOT_READ.format(label, text)) from None


def _names(text: str, count: int) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names and len(names) != count:
        raise UserError(
            f"{len(names)} class names are given, the network tells {count} classes apart; name all or none"
        )
    return names
