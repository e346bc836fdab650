"""What the measurements say of the papers' claims: a card a claim, and all numbers as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.engine_calls.choices import title_of
from app.panels.shared.csv_button import csv_button
from engine.run.benches.effects.images.claims import CIFAR
from engine.run.benches.effects.verdicts import rows_of

Result = Mapping[str, Any]


def title(result: Result) -> str:
    """The networks that it is of."""
    *most, last = [*map(network_title, dict.fromkeys(row["network"] for row in result["claims"]))]
    return f"{', '.join(most)} and {last}" if most else last


def network_title(name: str) -> str:
    """What a network of the measurements is called."""
    return "ResNet-20 (CIFAR-10)" if name == CIFAR else title_of("models", name)


def heading(result: Result) -> None:
    """When, with what, and how often."""
    effort = f"{result['images']} images a set · {result['steps']} steps, "
    effort += f"{result['generator_steps']} of generators"
    _caption(result, effort)


def quantizer_heading(result: Result) -> None:
    """When, with what, and how often quantizers were compared."""
    effort = f"{result['images']} images made from each network, least effort · "
    _caption(result, effort + f"judged on {result['held_out']} real test images")


def _caption(result: Result, effort: str) -> None:
    st.caption(
        f"{title(result)} · {len(result['seeds'])} seeds · {effort} · measured {_when(result)}. "
        "Directions are judged, not accuracies: network and effort are small."
    )


def _when(result: Result) -> str:
    dates = sorted({str(row.get("date", result["date"])) for row in result["claims"]})
    return f"on {dates[0]}" if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"


def differs_words(names: Sequence[str]) -> str:
    """In which settings a method and its control differ, in words."""
    if not names:
        return "Both are of the same images."
    listed = " and ".join(name.replace("_", " ") for name in names)
    if "quantization" in names:
        return "Two quantizers, and all settings that both have are alike."
    what = "settings" if len(names) > 1 else "setting"
    return f"One method makes both, and all is alike but its {what}: {listed}."


def alike_words(row: Result) -> str:
    """In which number method and control were made alike, by which setting; empty where in none."""
    if "alike" not in row or not row.get("match"):
        return ""
    match, found = row["match"], row["alike"]
    setting = str(match["setting"])
    mine, theirs, values = (
        ", ".join(f"{value:{form}}" for value in found[name])
        for name, form in (("method", ".2f"), ("baseline", ".2f"), (setting, "g"))
    )
    return (
        f"Made alike in {match['words']}: {mine} and, of the control, {theirs}, by its "
        f"{setting.replace('_', ' ')}, searched until at most {match['within']:g} is left: {values}."
    )


def few_words(row: Result) -> str:
    """How many images a claim of its own budget took; empty where they are those of the file."""
    if "held_out" not in row:
        return ""
    return f", {row['images']} images made from it, judged on {row['held_out']:.0f}"


def numbers(result: Result) -> None:
    """Every number, mean ± standard deviation over the seeds."""
    head, *rows = rows_of(result)
    frame = pd.DataFrame(rows, columns=head)
    st.dataframe(frame, hide_index=True, height="content")
    csv_button(frame, "evidence", "effects", key=f"effects-{result['date']}-csv")


def command(result: Result | None = None) -> None:
    """What to type to measure (again)."""
    st.code(result["command"] if result else "python -m engine bench effects", language="bash")
    if result and result["claims"][0]["network"] == CIFAR:
        st.caption(
            "CIFAR10 stands for a folder with the two published checkpoints, the images as pictures of one "
            "row each, and labels.json; the data is not part of this project."
        )
        return
    of_students = result is not None and "generator_steps" not in result
    long = "Some hours" if of_students else "About half an hour"
    st.caption(
        f"{long} of one core. The result lies in the runs folder, and this page shows the newer of it and "
        "the shipped one."
    )
