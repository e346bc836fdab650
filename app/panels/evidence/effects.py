"""What the measurements say of the papers' claims: a card a claim, and all numbers as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts import effects as charts
from app.choices import title_of
from app.components import mount
from engine.run.benches.claims import CIFAR
from engine.run.benches.effects import Verdict, rows_of, summary, verdict_of

Result = Mapping[str, Any]


def title(result: Result) -> str:
    """The networks that it is of."""
    names = dict.fromkeys(row["network"] for row in result["claims"])
    return " and ".join(map(_network, names))


def _network(name: str) -> str:
    return "ResNet-20 (CIFAR-10)" if name == CIFAR else title_of("models", name)


def heading(result: Result) -> None:
    """When, with what, and how many of the directions held."""
    rows, seeds = result["claims"], ", ".join(map(str, result["seeds"]))
    always = [row for row in rows if verdict_of(row).always]
    first, second, about = st.columns([1, 1, 3], gap="medium", vertical_alignment="center")
    asserted = [row for row in rows if row["asserted"]]
    kept = sum(row in always for row in asserted)
    first.metric(
        "Asserted and held", f"{kept} of {len(asserted)}", border=True,
        help="In every seed; of claims that a small network should show too.",
    )  # fmt: skip
    second.metric(
        "All that held", f"{len(always)} of {len(rows)}", border=True,
        help="In every seed; the others are reported as they come out.",
    )  # fmt: skip
    about.markdown(
        f"**{title(result)}** · seeds {seeds} · {result['images']} images a set · "
        f"{result['steps']} steps, {result['generator_steps']} of generators"
    )
    about.caption(
        f"Measured {_when(result)} UTC with torch {result['versions'].get('torch', '?')}, "
        f"{result['threads']} thread. Directions are judged, not accuracies: network and budget are small."
    )


def _when(result: Result) -> str:
    dates = sorted({str(row.get("date", result["date"])) for row in result["claims"]})
    return f"on {dates[0]}" if len(dates) == 1 else f"from {dates[0]} to {dates[-1]}"


def cards(result: Result, *, asserted: bool) -> None:
    """A card for each claim of the one kind: the sentence and the verdict, beside them the dots."""
    for row in result["claims"]:
        if bool(row["asserted"]) == asserted:
            with st.container(border=True):
                _card(row, result)


def _card(row: Mapping[str, Any], result: Result) -> None:
    judged, values = verdict_of(row), row["values"]
    words, chart = st.columns([2, 3], gap="medium", vertical_alignment="center")
    with words:
        st.markdown(f"**{row['says']}**")
        _badge(judged)
        wanted = "lower" if row["lower"] else "higher"
        st.caption(f"{row['of']}; {wanted} is claimed · {_network(row['network'])}")
        st.markdown(
            f"{row['method_title']} {summary(values['method'])}, {row['baseline_title']} "
            f"{summary(values['baseline'])}; difference {summary(judged.differences)}"
        )
        if "differs" in row:  # older files have controls that differ in more
            st.caption(_differs(row["differs"]))
    with chart:
        key = f"effect-{row['network']}-{row['name']}"
        mount.live_plot(
            charts.claim(row, result["seeds"]), key=key, run=str(result["date"]), offset=0
        )


def _differs(names: Sequence[str]) -> str:
    """In which settings the two sides differ, by the names that `--set` takes."""
    if not names:
        return "Both are of the same images."
    listed = " and ".join(f"`synthesis.{name}`" for name in names)
    return f"One method makes both, and all is alike but {listed}."


def _badge(judged: Verdict) -> None:
    if judged.always:
        st.badge(judged.words, icon=":material/check:", color="green")
    elif any(judged.held):
        st.badge(judged.words, icon=":material/remove:", color="orange")
    else:
        st.badge(judged.words, icon=":material/close:", color="red")


def numbers(result: Result) -> None:
    """Every number, mean ± standard deviation over the seeds."""
    head, *rows = rows_of(result)
    st.dataframe(pd.DataFrame(rows, columns=head), hide_index=True, height="content")


def missing(result: Result, names: Sequence[str]) -> None:
    """Say so where a measurement ended early."""
    there = {row["name"] for row in result["claims"]}
    absent = [name for name in names if name not in there]
    if absent:
        st.info(f"Not measured in this file: {', '.join(absent)}. The command below measures all.")


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
