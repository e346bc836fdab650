"""Which bits the fader stands at: read from the address, written to it, and made a recipe of."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.links.address import count
from app.panels.new_run.draft import recipe_fields
from engine.run.questions.why.fewer_bits.fader import WIDTHS
from engine.run.recipes.layer_bits import CHOOSES_ITSELF, FLOAT, SETTING
from engine.run.recipes.recipe import Recipe

FRONT = "front"
Pair = tuple[int, int | None]  # bits of a layer's weights and of its input (None: as it is)


@dataclass(frozen=True, slots=True, kw_only=True)
class BitChoice:
    """Where the fader stands: a start, and the layers that were moved alone.

    The start is bits for the whole network, a point of the front, or (neither) the run's own bits. A point
    says bits of weights alone; `inputs` are those of all inputs where somebody chose them before or after.
    """

    network: tuple[int, int] | None = None
    point: int | None = None
    inputs: int | None = None  # with a point alone
    alone: dict[str, Pair] = field(default_factory=dict)

    def text(self) -> str:
        """As in the address; empty for the run's own bits."""
        start = [] if self.network is None else [".".join(map(str, self.network))]
        inputs = "" if self.inputs is None else f".{self.inputs}"
        start += [] if self.point is None else [f"{FRONT}.{self.point}{inputs}"]
        alone = [f"{path}:{w}.{'' if a is None else a}" for path, (w, a) in self.alone.items()]
        return ",".join([*start, *alone])

    def plain(self) -> dict[str, Any]:
        """For a browser; a list of the layers, whose order counts."""
        return {
            "network": self.network, "point": self.point, "inputs": self.inputs,
            "alone": list(self.alone.items()),
        }  # fmt: skip

    def at_point(self, point: int) -> "BitChoice":
        """The weights as that point of the front has them; bits that were chosen for all inputs stay."""
        inputs = self.network[1] if self.network else self.inputs
        return BitChoice(point=point, inputs=inputs)


def read_choice(text: str, found: Mapping[str, Any]) -> BitChoice:
    """The choice of an address; what makes no sense for this network is left out.

    found: an answer of `bits`.
    """
    network, point, inputs, alone = None, None, None, {}
    for part in text.split(","):
        path, _, bits = part.rpartition(":")
        first, _, second = bits.partition(".")
        if not path and first == FRONT:
            place, _, third = second.partition(".")
            k = count(place)
            point = k if k is not None and k < len(found["front"]) else None
            inputs = None if point is None else _width(third)
            continue
        w, a = _width(first), _width(second)
        if w is None or (second and a is None):
            continue
        if not path and a is not None:
            network = (w, a)
        elif path in found["planned"]["weight_bits"]:
            alone[path] = (w, a)
    network = None if point is not None else network
    return BitChoice(network=network, point=point, inputs=inputs, alone=alone)


def _width(text: str) -> int | None:
    return next((bits for bits in WIDTHS if text == str(bits)), None)


def chosen_bits(choice: BitChoice, found: Mapping[str, Any]) -> dict[str, Pair]:
    """Bits of every layer; edges stay where the edge rule holds them, an image as it is.

    Layers that read one input have the same bits for it: those of the one moved last.
    """
    planned, held = found["planned"], found["held"]
    paths = list(planned["weight_bits"])
    weights, inputs = dict(planned["weight_bits"]), dict(planned["activation_bits"])
    if choice.point is not None:
        weights |= found["front"][choice.point]["weight_bits"]
        inputs |= found["front"][choice.point]["activation_bits"]
    elif choice.network is not None:
        weights = {path: held["weight_bits"].get(path, choice.network[0]) for path in paths}
    usual = choice.network[1] if choice.network and choice.point is None else choice.inputs
    if usual is not None:
        for path in paths:
            if inputs[path] is not None:
                inputs[path] = held["activation_bits"].get(path, usual)
    for path, (w, a) in choice.alone.items():
        weights[path] = w
        if a is None or inputs[path] is None:
            continue
        for reader in readers_of(path, found):
            inputs[reader] = a
    return {path: (weights[path], inputs[path]) for path in paths}


def readers_of(path: str, found: Mapping[str, Any]) -> list[str]:
    """The layers whose input has the same bits as this one's, itself among them."""
    return next((group for group in found["shared_inputs"] if path in group), [path])


def usual_bits(bits: Mapping[str, Pair], found: Mapping[str, Any]) -> tuple[int, int]:
    """The bits that most layers have which the edge rule does not hold."""
    held, planned = found["held"], found["planned"]["activation_bits"]
    weights = [w for path, (w, _) in bits.items() if path not in held["weight_bits"]]
    inputs = [
        a
        for path, (_, a) in bits.items()
        if a is not None and planned[path] is not None and path not in held["activation_bits"]
    ]
    return _most(weights or [w for w, _ in bits.values()]), _most(inputs or [WIDTHS[-1]])


def _most(counts: list[int]) -> int:
    return Counter(sorted(counts)).most_common(1)[0][0]


def recipe_at(recipe: Recipe, bits: Mapping[str, Pair], found: Mapping[str, Any]) -> dict[str, Any]:
    """The run's recipe with exactly these bits, as the New run dialog takes it.

    Only layers with bits unlike the recipe's are named; a quantizer that chooses bits gives way to its
    rounding.
    """
    fields = recipe_fields(recipe)
    held = found["held"]
    w, a = usual_bits(bits, found)
    named = {
        "weight_bits": {
            path: own for path, (own, _) in bits.items() if own != held["weight_bits"].get(path, w)
        },
        "activation_bits": {
            path: FLOAT if own is None else own
            for path, (_, own) in bits.items()
            if own != held["activation_bits"].get(path, a)
        },
    }
    settings = dict(fields["quantization_settings"])
    if recipe.quantization in CHOOSES_ITSELF:
        fields["quantization"] = settings.get("rounding", "nearest")
        settings = {}
    settings.pop(SETTING, None)
    if any(named.values()):
        settings[SETTING] = named
    return fields | {"weight_bits": w, "activation_bits": a, "quantization_settings": settings}
