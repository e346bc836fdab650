"""The papers' claims as a table of chips; the one that is chosen is opened below it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from app.charts.outcomes import effects as charts
from app.components import mount
from app.panels.evidence.effects import alike_words, differs_words, few_words, network_title
from app.panels.shared.csv_button import csv_button
from app.panels.shared.url_menu import menu
from engine.run.benches.effects.verdicts import summary, verdict_of

Result = Mapping[str, Any]
HOLDS, NOTHING, MISSING = "holds", "no gain here", "not measured"
CHIPS: dict[str, tuple[str, Literal["green", "orange", "gray"], str]] = {
    HOLDS: (":material/check:", "green", "in every seed the method is on the claimed side of its control"),
    NOTHING: (":material/remove:", "orange", "in some seed, or in all, it is not"),
    MISSING: (":material/question_mark:", "gray", "there is no measurement of it in this project yet"),
}  # fmt: skip


def chip_of(row: Mapping[str, Any]) -> str:
    """What the seeds say of a measured claim: it holds in each of them, or nothing is gained here."""
    return HOLDS if verdict_of(row).always else NOTHING


def claims_table(result: Result, wanted: Sequence[Any]) -> None:
    """A row a claim: its sentence, what it was measured by, the chip. `wanted` are all there are."""
    rows = {row["name"]: row for row in result["claims"]}
    missing = [claim for claim in wanted if claim.name not in rows]
    chips = [*map(chip_of, rows.values()), *[MISSING] * len(missing)]
    with st.container(horizontal=True, gap="small"):
        for chip, (icon, colour, words) in CHIPS.items():
            if chip == MISSING and not missing:
                continue
            st.badge(f"{chips.count(chip)} {chip}", icon=icon, color=colour, help=words)
    chosen = menu("Look at one", {name: row["says"] for name, row in rows.items()}, "claim")
    if chosen in rows:
        with st.container(border=True):
            _opened(rows[chosen], result)
    lines = ["| | What is claimed, and what it is measured by |", "|:--|:--|"]
    lines += [
        _line(row["says"], row["of"], chip_of(row), bool(row["asserted"])) for row in rows.values()
    ]
    lines += [_line(claim.says, claim.of, MISSING, claim.asserted) for claim in missing]
    st.markdown("\n".join(lines))
    csv_button(table(result, missing), "evidence", "claims", key=f"claims-{result['date']}-csv")
    st.caption(
        "° A claim that a network as small as this one should show too; of the others nobody can be sure."
    )


def table(result: Result, missing: Sequence[Any]) -> list[dict[str, Any]]:
    """A row a claim: what the seeds say, and what method and control measured with each of them."""
    sides = {"method": "method", "baseline": "control"}
    measured = [
        {"claim": row["says"], "measured by": row["of"], "found": chip_of(row), "network": row["network"]}
        | {name: row[f"{side}_title"] for side, name in sides.items()}
        | {
            f"{name}, seed {seed}": value
            for side, name in sides.items()
            for seed, value in zip(result["seeds"], row["values"][side], strict=True)
        }
        for row in result["claims"]
    ]  # fmt: skip
    return measured + [
        {"claim": one.says, "measured by": one.of, "found": MISSING} for one in missing
    ]


def _line(says: str, of: str, chip: str, asserted: bool) -> str:  # noqa: FBT001
    icon, colour, _ = CHIPS[chip]
    claimed, measured = (
        one.replace("|", r"\|") for one in (f"{says}{' °' if asserted else ''}", of)
    )
    return f"| :{colour}-badge[{icon} {chip}] | {claimed} :gray[{measured}] |"


def _opened(row: Mapping[str, Any], result: Result) -> None:
    judged, values = verdict_of(row), row["values"]
    words, chart = st.columns([2, 3], gap="medium", vertical_alignment="center")
    with words:
        icon, colour, _ = CHIPS[chip_of(row)]
        st.markdown(f"**{row['says']}**")
        st.badge(f"{chip_of(row)}: {judged.words}", icon=icon, color=colour)
        better = "Lower" if row["lower"] else "Higher"
        st.markdown(
            f"{better} is what the paper claims. {row['method_title']}: {summary(values['method'])}; "
            f"its control, {row['baseline_title']}: {summary(values['baseline'])}; difference "
            f"{summary(judged.differences)}, mean ± standard deviation over the seeds."
        )
        if row.get("against"):
            st.caption("Both numbers are of one run.")
        elif "differs" in row:  # older files have controls that differ in more
            st.caption(f"{differs_words(row['differs'])} {alike_words(row)}".strip())
        st.caption(f"On {network_title(row['network'])}{few_words(row)}.")
    with chart:
        key = f"effect-{row['network']}-{row['name']}"
        mount.live_plot(
            charts.claim(row, result["seeds"]), key=key, run=str(result["date"]), offset=0
        )
