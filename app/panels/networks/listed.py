"""The list of networks: those that come along, torchvision's, timm's, one's own; with a search."""

from typing import Any

import pandas as pd
import streamlit as st

from app.charts.networks.network import short_count
from app.links.state import newest_run
from app.presets import USUAL
from app.wording.engine_words import page_text
from app.wording.words import plain
from engine.run import networks

SOURCES = {"all": "All", "bundled": "Bundled", "torchvision": "torchvision", "yours": "Yours"}
ROWS = 6  # shown at once
TIMM = "timm/"
COLUMNS = {
    "network": st.column_config.TextColumn("Network", pinned=True),
    "source": st.column_config.TextColumn("From", width="small"),
    "dataset": st.column_config.TextColumn("Trained on"),
    "parameters": st.column_config.TextColumn("Parameters", width="small"),
    "batchnorm": st.column_config.NumberColumn(
        "BatchNorm layers", width="small",
        help="What images are made from: each remembers the mean and spread of what passed it.",
    ),
    "image": st.column_config.TextColumn("Image", width="small", help="Channels, height, width"),
    "state": st.column_config.TextColumn("Here?", help="Whether its weights are on this machine."),
}  # fmt: skip

Entry = dict[str, Any]


def chosen_network(catalog: dict[str, Any]) -> Entry | None:
    """The entry of the network of the address; None, with the reason on the page, where it has none.

    An address without one gets that of the network last looked at, or of the present run, or the first.
    """
    entries = {one["name"]: one for one in catalog["models"]}
    asked = st.query_params.get("model") or _usual(entries)
    if asked and "model" not in st.query_params:
        st.query_params["model"] = asked
    entry = entries.get(asked)
    if entry is None and asked.startswith(TIMM):
        entry = {"name": asked, "title": asked, "available": True, "reason": ""}
    if entry is None:
        st.error(f"There is no network named {plain(repr(asked[:200]))} here. Choose another.")
    elif not entry.get("available", True):
        st.error(f"**{plain(entry['title'])}** cannot be looked at: {_way_out(entry['reason'])}")
        entry = None
    else:
        st.session_state["network"] = asked
    return entry


def _usual(entries: dict[str, Entry]) -> str:
    last, run = st.session_state.get("network", ""), newest_run()
    candidates = [last, *([run.recipe.model] if run is not None else [])]
    able = [name for name, one in entries.items() if one.get("available", True)]
    able.sort(key=lambda name: (name != USUAL["model"], entries[name].get("parameters", 0)))
    timm = [name for name in candidates if name.startswith(TIMM)]
    return next((name for name in [*candidates, *able] if name in entries or name in timm), "")


def network_list(catalog: dict[str, Any]) -> None:
    """The list with its search; a row that is clicked on is the network of the address."""
    left, right = st.columns([3, 4], gap="medium", vertical_alignment="bottom")
    text = left.text_input(
        "Search", key="network-search", placeholder="resnet, mobilenet, CIFAR… or timm/NAME",
        icon=":material/search:",
        help="Any network of timm is found by its whole name, where timm is installed: timm/resnet18.",
    )  # fmt: skip
    source = right.segmented_control(
        "From", list(SOURCES), format_func=lambda one: SOURCES[one], default="all", required=True,
        key="network-source",
    )  # fmt: skip
    found = matching(catalog["models"], text, str(source))
    if text.strip().startswith(TIMM) and len(text.strip()) > len(TIMM):
        found = [{"name": text.strip(), "title": text.strip(), "available": True}, *found]
    if not found:
        nothing = "You have brought none yet." if source == "yours" else "None is called that."
        st.caption(f"{nothing} *Bring your own* takes any checkpoint.")
        return
    _table(found, f"{text}-{source}")
    here = sum(bool(one.get("available", True)) for one in found)
    if here < len(found) > 1:
        st.caption(
            f"{here} of these {len(found)} are on this machine; the others lack their weights. "
            "Choose one to see how to get them."
        )


def matching(entries: list[Entry], text: str, source: str) -> list[Entry]:
    """Those of a source whose name, title, data set or summary holds every word; what is here first."""
    words = text.lower().split()
    found = [
        one
        for one in entries
        if source in ("all", source_of(one["name"])) and all(word in _about(one) for word in words)
    ]
    return sorted(found, key=lambda one: (not one.get("available", True), _order(one)))


def source_of(name: str) -> str:
    """Where a network comes from, by its name."""
    if name.startswith(networks.PREFIX):
        return "yours"
    return name.partition("/")[0] if "/" in name else "bundled"


def _about(entry: Entry) -> str:
    fields = ("name", "title", "dataset", "summary")
    return " ".join(str(entry.get(field, "")) for field in fields).lower()


def _order(entry: Entry) -> tuple[int, int]:
    rank = ("yours", "bundled", "torchvision", "timm").index(source_of(entry["name"]))
    return rank, int(entry.get("parameters", 0))


def _table(found: list[Entry], key: str) -> None:
    chosen = st.dataframe(
        pd.DataFrame([_row(one) for one in found]), column_config=COLUMNS, hide_index=True,
        on_select="rerun", selection_mode="single-row", placeholder="–",
        height=38 + 35 * min(len(found), ROWS), key=f"networks-{key}",
    )  # fmt: skip
    rows = chosen["selection"]["rows"]
    name = found[rows[0]]["name"] if rows and rows[0] < len(found) else ""
    if name and st.session_state.get("network-row") != (key, name):
        st.session_state["network-row"] = (key, name)
        look_at_network(name)
        st.rerun()


def look_at_network(name: str) -> None:
    """Write the network into the address, and forget the layer of another."""
    if st.query_params.get("model") != name:
        st.query_params.pop("layer", None)
        st.query_params["model"] = name


def _row(entry: Entry) -> dict[str, Any]:
    shape = entry.get("image_shape")
    return {
        "network": str(entry["title"]).partition(" · ")[0],
        "source": SOURCES.get(source_of(entry["name"]), source_of(entry["name"])),
        "dataset": entry.get("dataset") or None,
        "parameters": short_count(entry["parameters"]) if entry.get("parameters") else None,
        "batchnorm": entry.get("batchnorm_layers"),
        "image": " × ".join(map(str, shape)) if shape else None,
        "state": "yes" if entry.get("available", True) else "no: weights missing",
    }


def _way_out(reason: str) -> str:
    """The engine's reason in the page's words: what it says of the command line is a switch here."""
    why, command, _ = reason.partition(", or let the run do so with --set model.download=true")
    more = (
        ". Or let a new run fetch them: *download* among the network's own settings"
        if command
        else ""
    )
    return f"{page_text(why)}{more}."
