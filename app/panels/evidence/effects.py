"""What the measurements say of the papers' claims: a card a claim, and all numbers as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.choices import title_of
from engine.run.benches.effects.image_claims import CIFAR
from engine.run.benches.effects.verdicts import rows_of

Result = Mapping[str, Any]


def title(result: Result) -> str:
    """The networks that it is of."""
    names = dict.fromkeys(row["network"] for row in result["claims"])
    return " and ".join(map(network_title, names))


def network_title(name: str) -> str:
    """What a network of the measurements is called."""
    return "ResNet-20 (CIFAR-10)" if name == CIFAR else title_of("models", name)


def heading(result: Result) -> None:
    """When, with what, and how often."""
    steps = f"{result['steps']} steps, {result['generator_steps']} of generators"
    st.caption(
        f"{title(result)} · {len(result['seeds'])} seeds · {result['images']} images a set · {steps} · "
        f"measured {_when(result)}. Directions are judged, not accuracies: network and effort are small."
    )


def _when(result: Result) -> str:
    dates = sorted({str(row.get("date", result["date"])) for row in result["claims"]})
    return f"on {dates[0]}" if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"


def differs_words(names: Sequence[str]) -> str:
    """In which settings a method and its control differ, in words."""
    if not names:
        return "Both are of the same images."
    listed = " and ".join(name.replace("_", " ") for name in names)
    return f"One method makes both, and all is alike but its setting: {listed}."


def numbers(result: Result) -> None:
    """Every number, mean ± standard deviation over the seeds."""
    head, *rows = rows_of(result)
    st.dataframe(pd.DataFrame(rows, columns=head), hide_index=True, height="content")


def command(result: Result | None = None) -> None:
    """What to type to measure (again)."""
    st.code(result["command"] if result else "python -m engine bench effects", language="bash")
    if result and result["claims"][0]["network"] == CIFAR:
        st.caption(
            "CIFAR10 stands for a folder with the two published checkpoints, the images as pictures of one "
            "row each, and labels.json; the data is not part of this project."
        )
        return
    st.caption(
        "About half an hour of one core. The result lies in the runs folder, and this page shows the newer "
        "of it and the shipped one."
    )
