"""Candidates: the bits that each layer's weights may have, and each input that layers share."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.quantization.plan import EDGE_BITS, LayerBits


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Bits of a group: of each layer's weights, and of the input that they share (None: it stays float)."""

    weights: tuple[int, ...]
    input: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedLayers:
    """Layers that have the same activation bits: one alone, or all that share an input."""

    layers: tuple[str, ...]
    owner: str  # what quantizes their input
    bits: tuple[int, ...]  # of the weights, to choose from
    inputs: tuple[int | None, ...]  # of the input, to choose from; none: it has no choice
    planned: Candidate  # what the plan before has
    free: tuple[str, ...]  # layers whose weights have a choice

    def entries(self) -> Iterator[tuple[str, str, int]]:
        """All that must be measured: path, what of it, and its bits; of an input the planned ones too."""
        for path in self.free:
            yield from ((path, "weight", bits) for bits in self.bits)
        if self.inputs and self.planned.input is not None:
            known = (bits for bits in self.inputs if bits is not None)
            wanted = sorted({*known, self.planned.input})
            yield from ((self.owner, "input", bits) for bits in wanted)

    def cheapest(self) -> Iterator[Candidate]:
        """The fewest bits for the weights, with each choice of the input: one of them costs the least."""
        pairs = list(zip(self.layers, self.planned.weights, strict=True))
        weights = tuple(self.bits[0] if path in self.free else planned for path, planned in pairs)
        for bits in self.inputs or (self.planned.input,):
            yield Candidate(weights=weights, input=bits)

    def candidates(self) -> Iterator[Candidate]:
        """Every combination of bits that the group may be given."""
        weights = [
            self.bits if path in self.free else (planned,)
            for path, planned in zip(self.layers, self.planned.weights, strict=True)
        ]
        for bits in self.inputs or (self.planned.input,):
            yield from (Candidate(weights=each, input=bits) for each in itertools.product(*weights))

    def changed(self, choice: Candidate) -> Iterator[tuple[str, str, int]]:
        """What of a choice counts: all that has one. What is fixed costs nothing that could be spared."""
        for path, bits in zip(self.layers, choice.weights, strict=True):
            if path in self.free:
                yield path, "weight", bits
        if self.inputs and choice.input is not None:
            yield self.owner, "input", choice.input


def find_tied_layers(
    plan: Mapping[str, LayerBits],
    owner: Mapping[str, str],
    bits: Sequence[int],
    *,
    inputs: bool,
    float_inputs: bool = False,
) -> list[TiedLayers]:
    """The groups that have a choice, in order of execution.

    Weights of the first and last layer that the plan holds at 8 bits stay there, and so do, where the
    inputs' bits are chosen (`inputs`), the inputs that its rule for edges holds at 8 bits, and the image.
    With `float_inputs` each input that the plan quantizes, at an edge too, may stay float instead.
    """
    layers: dict[str, list[str]] = {}
    for path in plan:
        tied = inputs or float_inputs
        layers.setdefault(owner[path] if tied else path, []).append(path)
    found = []
    for who, paths in layers.items():
        given = [plan[path].activation_bits for path in paths]
        planned = None if None in given else max(b for b in given if b is not None)
        chosen = inputs and planned is not None and not _input_held(plan, paths)
        spared = (None,) if float_inputs and planned is not None else ()
        group = TiedLayers(
            layers=tuple(paths),
            owner=who,
            bits=tuple(bits),
            planned=Candidate(
                weights=tuple(plan[path].weight_bits for path in paths),
                input=planned,
            ),
            inputs=(*spared, *(bits if chosen else (planned,) if spared else ())),
            free=tuple(path for path in paths if not _held(plan, path)),
        )
        if group.free or group.inputs:
            found.append(group)
    return found


def _held(plan: Mapping[str, LayerBits], path: str) -> bool:
    edge = path in (next(iter(plan)), list(plan)[-1]) or plan[path].activation_bits is None
    return edge and plan[path].weight_bits == EDGE_BITS


def _input_held(plan: Mapping[str, LayerBits], paths: Sequence[str]) -> bool:
    behind_image = [path for path in plan if plan[path].activation_bits is not None]
    edges = {*behind_image[:1], list(plan)[-1]}
    return any(path in edges and plan[path].activation_bits == EDGE_BITS for path in paths)


def with_candidates(
    plan: Mapping[str, LayerBits], groups: Sequence[TiedLayers], choices: Sequence[Candidate]
) -> dict[str, LayerBits]:
    """The plan with these bits."""
    changed = dict(plan)
    for group, choice in zip(groups, choices, strict=True):
        for path, bits in zip(group.layers, choice.weights, strict=True):
            given = choice.input if group.inputs else plan[path].activation_bits
            changed[path] = replace(plan[path], weight_bits=bits, activation_bits=given)
    return changed
