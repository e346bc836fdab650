"""A network's map, the layer that is looked at, and the table of all layers."""

from typing import Any

import pandas as pd
import streamlit as st

from app.charts.layers import weights
from app.charts.networks.network import SHADES, network_map, short_count
from app.components import mount
from app.panels.shared.url_menu import buttons
from app.wording.words import size_words

MAP_KEYS = (
    "A box is a block, its colour the resolution; a cell is a layer. "
    "Blue dot: BatchNorm; green dot: activation; green line: shortcut; orange or red dot: "
    "something may go wrong there. "
    "Click on a cell to look into the layer, on a box's name to fold it."
)


def head(facts: dict[str, Any]) -> None:
    """The network in six numbers."""
    shape = " × ".join(map(str, facts["image_shape"]))
    outputs = "none" if facts["outputs"] is None else f"{facts['outputs']:,}"
    in_float = f"{size_words(facts['weight_bytes'])} as float"
    shown = (
        ("Parameters", short_count(facts["parameters"]), in_float, f"{facts['parameters']:,}"),
        ("Work an image", short_count(facts["macs"]), "MACs", f"{facts['macs']:,} multiply-adds"),
        (
            "Layers",
            f"{facts['layers']}",
            f"in {facts['blocks']} blocks",
            "Convolutions and linear layers.",
        ),
        (
            "BatchNorm",
            f"{facts['batchnorm_layers']}",
            "layers",
            "What images are synthesised from.",
        ),
        ("Image", shape, "", _normalisation(facts)),
        ("Classes", outputs, "", "Outputs of the last layer."),
    )
    with st.container(horizontal=True, gap="small"):
        for label, value, more, text in shown:
            st.metric(
                label, value, more or None, delta_color="off", delta_arrow="off", help=text,
                border=True, width="stretch", height="stretch",
            )  # fmt: skip


def _normalisation(facts: dict[str, Any]) -> str:
    mean, std = (", ".join(f"{v:.3g}" for v in facts[name]) for name in ("mean", "std"))
    return f"Channels, height, width. Pixels are normalised with mean {mean} and std {std}."


def layer_map(
    answer: dict[str, Any],
    layers: list[dict[str, Any]],
    found: list[dict[str, Any]],
    chosen: str,
) -> str | None:
    """The map; returns the layer just clicked on."""
    shade = buttons("Colour the layers by", SHADES, "shade")
    name = answer["facts"]["name"]
    picked = mount.network_map(
        key=f"map-{name}",
        name=name,
        map=network_map(answer, layers, found, shade),
        shade=shade,
        chosen=chosen,
        alt=f"The data flow of {answer['facts']['title']}: {len(layers)} layers in order of execution.",
    )
    hint = "The data flow is hidden, so the layers stand in the order in which they run. "
    st.caption((hint if answer["graph"]["guessed"] else "") + MAP_KEYS)
    return picked


def layer_detail(layer: dict[str, Any]) -> None:
    """One layer: its facts, how its weights are spread, and how wide its channels are."""
    st.markdown(f"**`{layer['path']}`** · {facts_line(layer)}")
    left, right = st.columns(2, gap="medium")
    with left:
        st.caption("How are the weights spread?")
        chart = weights.histogram(layer)
        mount.live_plot(
            chart, key=f"histogram-{layer['path']}-{layer['low']}", run="network", offset=0
        )
    with right:
        st.caption("How wide is each channel?")
        chart = weights.channel_ranges(layer)
        mount.live_plot(
            chart, key=f"channels-{layer['path']}-{layer['low']}", run="network", offset=0
        )


def facts_line(layer: dict[str, Any]) -> str:
    """The layer in one line of words."""
    parts = [
        layer["kind"],
        f"weight {' × '.join(map(str, layer['shape']))}",
        f"{layer['parameters']:,} parameters",
        f"{short_count(layer['macs'])} MACs",
        bits_words(layer),
    ]
    if layer["range_ratio"]:
        parts.append(f"widest channel {layer['range_ratio']:.3g} times the narrowest")
    if layer["dead_channels"]:
        parts.append(f"{layer['dead_channels']} dead channels")
    return " · ".join(parts)


def bits_words(layer: dict[str, Any]) -> str:
    """For example W4A4; W8A– where the input stays float."""
    activation = layer["activation_bits"]
    return f"W{layer['weight_bits']}A{'–' if activation is None else activation}"


def layer_table(layers: list[dict[str, Any]], *, key: str) -> str | None:
    """All layers; returns the path of the row that is selected."""
    top = {
        name: max((layer[name] for layer in layers), default=1) for name in ("parameters", "macs")
    }
    shown = pd.DataFrame([_row(layer) for layer in layers])
    columns = {
        "parameters": st.column_config.ProgressColumn(
            "Parameters", format="compact", min_value=0, max_value=max(1, top["parameters"])
        ),
        "MACs": st.column_config.ProgressColumn(
            "MACs", format="compact", min_value=0, max_value=max(1, top["macs"])
        ),
        "layer": st.column_config.TextColumn("Layer", pinned=True),
        "least": st.column_config.NumberColumn("Lowest", format="%.3g", help="Smallest weight"),
        "most": st.column_config.NumberColumn("Highest", format="%.3g", help="Largest weight"),
        "ratio": st.column_config.NumberColumn(
            "Range ratio", format="%.3g", help="Widest to narrowest output channel"
        ),
        "kind": st.column_config.TextColumn("Kind"),
        "weight": st.column_config.TextColumn("Weight"),
        "bits": st.column_config.TextColumn("Bits"),
        "then": st.column_config.TextColumn("Then", help="The activation behind it"),
        "block": st.column_config.TextColumn("Block"),
    }
    chosen = st.dataframe(
        shown, column_config=columns, hide_index=True, on_select="rerun",
        selection_mode="single-row", placeholder="–", key=key, height=min(38 + 35 * len(layers), 460),
    )  # fmt: skip
    rows = chosen["selection"]["rows"]
    return layers[rows[0]]["path"] if rows and rows[0] < len(layers) else None


def _row(layer: dict[str, Any]) -> dict[str, Any]:
    norm = (
        "behind" if layer["batchnorm_behind"] else "before" if layer["batchnorm_before"] else None
    )
    return {
        "layer": layer["path"],
        "kind": layer["kind"],
        "weight": "×".join(map(str, layer["shape"])),
        "parameters": layer["parameters"],
        "MACs": layer["macs"],
        "bits": bits_words(layer),
        "BatchNorm": norm,
        "then": layer["activation"] or None,
        "least": layer["low"],
        "most": layer["high"],
        "ratio": layer["range_ratio"],
        "block": layer["block"] or None,
    }
