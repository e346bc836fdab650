"""The diagnosis of a network: what it is, what may go wrong, what can work on it. Imports no torch.

The network is looked at once, in a process of its own (`examine.py`); bits, edge rule and methods
are joined to the answer here, so that moving a slider asks nothing anew.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.core.needs import why_not
from engine.run.questions import cached_answer
from engine.run.recipes.recipe import Recipe

Answer = dict[str, Any]
COMMAND = "diagnose"
LEVELS = ("problem", "warning", "note")
LOW_BITS = 4  # from here on down a depthwise layer suffers first
EDGE_BITS = 8


def load(runs: Path, recipe: Recipe) -> Answer:
    """The diagnosis of the recipe's network; takes some seconds the first time. UserError as it says."""
    return cached_answer.ask(runs, COMMAND, _network(recipe), by={})


def kept(runs: Path, recipe: Recipe) -> Answer | None:
    """The diagnosis if it has been made before."""
    return cached_answer.kept(runs, COMMAND, _network(recipe), by={})


def _network(recipe: Recipe) -> Recipe:
    """The recipe as far as the diagnosis depends on it, with methods that any network can have."""
    return dataclasses.replace(
        recipe, synthesis="noise", quantization="nearest", synthesis_settings={},
        quantization_settings={}, preset="quick",
    )  # fmt: skip


def joined(answer: Answer, recipe: Recipe, catalog: dict[str, Any]) -> Answer:
    """The whole diagnosis for one recipe: layers with bits, findings on bits too, what can work."""
    return answer | {
        "layers": layers_with_bits(answer, recipe),
        "findings": findings_for(answer, recipe),
        "methods": methods_for(answer, recipe, catalog),
    }


def layers_with_bits(answer: Answer, recipe: Recipe) -> list[Answer]:
    """Each layer with its block and the bits that the recipe's edge rule gives it."""
    block_of = {path: block["name"] for block in answer["blocks"] for path in block["layers"]}
    rule = answer["bits"].get(recipe.edge_rule, {})
    layers = []
    for layer in answer["layers"]:
        weight, activation = rule.get(layer["path"], [0, 0])
        bits = {
            "weight_bits": weight or recipe.weight_bits,
            "activation_bits": None if activation is None else activation or recipe.activation_bits,
        }
        layers.append(layer | {"block": block_of.get(layer["path"], "")} | bits)
    return layers


def findings_for(answer: Answer, recipe: Recipe) -> list[Answer]:
    """What was found of the network, and what the recipe's bits add; the worst first."""
    own = [finding for finding in answer["findings"] if not finding["kind"].startswith("bits-")]
    layers = layers_with_bits(answer, recipe)
    found = [*own, *_depthwise(layers, recipe), *_edges(layers, recipe)]
    return sorted(found, key=lambda finding: LEVELS.index(finding["level"]))


def _depthwise(layers: list[Answer], recipe: Recipe) -> Iterator[Answer]:
    low = [
        layer
        for layer in layers
        if layer["kind"] == "depthwise"
        and min(layer["weight_bits"], layer["activation_bits"] or EDGE_BITS) <= LOW_BITS
    ]
    if low:
        weight, activation = recipe.weight_bits, recipe.activation_bits
        more = f" and {len(low) - 1} more" if len(low) > 1 else ""
        yield {
            "level": "warning", "kind": "bits-depthwise", "title": "Depthwise layers at few bits",
            "message": f"{low[0]['path']}{more} would run at W{weight}A{activation}: a depthwise channel "
            "has a handful of weights and one input, so nothing averages its error out",
            "advice": "Give the activations 8 bits first." if activation <= LOW_BITS
            else "Give the weights 5 bits or more if too much is lost.",
            "layer": low[0]["path"], "layers": [layer["path"] for layer in low],
        }  # fmt: skip


def _edges(layers: list[Answer], recipe: Recipe) -> Iterator[Answer]:
    if not layers or layers[0]["weight_bits"] > LOW_BITS or recipe.edge_rule != "all":
        return
    yield {
        "level": "warning", "kind": "bits-edges", "title": "First and last layer at few bits",
        "message": f"The edge rule 'all' leaves {layers[0]['path']} and {layers[-1]['path']} at "
        f"{recipe.weight_bits} bits",
        "advice": "They hold few weights and much of the answer: the rules brecq and qdrop keep 8 bits.",
        "layer": layers[0]["path"], "layers": [layers[0]["path"], layers[-1]["path"]],
    }  # fmt: skip


def methods_for(answer: Answer, recipe: Recipe, catalog: dict[str, Any]) -> list[Answer]:
    """Every method of the catalog: `reason` says why it cannot work on this network, else it is empty."""
    network = dict(network_facts(answer, recipe, catalog))
    return [
        {
            "kind": kind,
            "name": method["name"],
            "title": method["title"],
            "reason": why_not(method.get("needs", ()), network) or "",
        }
        for kind in ("synthesis", "quantization")
        for method in catalog[kind]
    ]


def network_facts(
    answer: Answer, recipe: Recipe, catalog: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    """What methods ask of a network (engine.core.needs), as it was found and not as it was listed."""
    yield "batchnorm_layers", answer["facts"]["batchnorm_layers"]
    yield "convolutions", sum(layer["kind"] != "linear" for layer in answer["layers"])
    yield "classes", answer["facts"]["outputs"] or 0
    if recipe.model_settings.get("calibration"):
        return  # a folder of the user's: what is in it shows later
    entry: Answer = next((one for one in catalog["models"] if one["name"] == recipe.model), {})
    for name in ("calibration_images", "calibration_labels"):
        yield name, bool(entry.get(name))
