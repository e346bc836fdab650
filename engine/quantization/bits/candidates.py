"""Candidates: the bits that each layer's weights may have, and each input that layers share."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.quantization.bits.solvers import Option, pareto_front
from engine.quantization.plan import EDGE_BITS, LayerBits

SensitivityOf = Callable[
    [str, str, int], float
]  # of a path, its "weight" or "input", at so many bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Bits of a group: of each layer's weights, and of the input that they share (None: not at all)."""

    weights: tuple[int, ...]
    input: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedLayers:
    """Layers that have the same activation bits: one alone, or all that share an input."""

    layers: tuple[str, ...]
    owner: str  # what quantizes their input
    bits: tuple[int, ...]  # to choose from
    planned: Candidate  # what the plan before has
    free: tuple[str, ...]  # layers whose weights have a choice
    free_input: bool

    def entries(self) -> Iterator[tuple[str, str, int]]:
        """All that must be measured: path, what of it, and its bits; of an input the planned ones too."""
        for path in self.free:
            yield from ((path, "weight", bits) for bits in self.bits)
        if self.free_input and self.planned.input is not None:
            wanted = sorted({*self.bits, self.planned.input})
            yield from ((self.owner, "input", bits) for bits in wanted)

    def fewest(self) -> Candidate:
        """The cheapest that the group may be given."""
        pairs = zip(self.layers, self.planned.weights, strict=True)
        return Candidate(
            weights=tuple(
                self.bits[0] if path in self.free else planned for path, planned in pairs
            ),
            input=self.bits[0] if self.free_input else self.planned.input,
        )

    def candidates(self) -> Iterator[Candidate]:
        """Every combination of bits that the group may be given."""
        weights = [
            self.bits if path in self.free else (planned,)
            for path, planned in zip(self.layers, self.planned.weights, strict=True)
        ]
        inputs = self.bits if self.free_input else (self.planned.input,)
        for bits, *each in itertools.product(inputs, *weights):
            yield Candidate(weights=tuple(int(b) for b in each if b is not None), input=bits)

    def changed(self, choice: Candidate) -> Iterator[tuple[str, str, int]]:
        """What of a choice counts: all that has one. What is fixed costs nothing that could be spared."""
        for path, bits in zip(self.layers, choice.weights, strict=True):
            if path in self.free:
                yield path, "weight", bits
        if self.free_input and choice.input is not None:
            yield self.owner, "input", choice.input


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a budget counts: bits of the codes that have a choice, or bit operations for one image."""

    kind: str  # bytes or bit-operations
    weights: Mapping[str, int]  # how many each layer has
    macs: Mapping[str, int]

    def of(self, group: TiedLayers, choice: Candidate) -> int:
        """Of one group; codes of fixed layers are left out."""
        each = zip(group.layers, choice.weights, strict=True)
        if self.kind == "bytes":
            return sum(self.weights[path] * bits for path, bits in each if path in group.free)
        return sum(self.macs[path] * bits * (choice.input or EDGE_BITS) for path, bits in each)

    def unit(self, cost: int) -> float:
        """In bytes, or operations."""
        return cost / 8 if self.kind == "bytes" else float(cost)


def find_tied_layers(
    plan: Mapping[str, LayerBits], owner: Mapping[str, str], bits: Sequence[int], *, inputs: bool
) -> list[TiedLayers]:
    """The groups that have a choice, in order of execution.

    Weights of the first and last layer that the plan holds at 8 bits stay there, and so do, where the
    inputs' bits are chosen (`inputs`), the inputs that its rule for edges holds at 8 bits, and the image.
    """
    layers: dict[str, list[str]] = {}
    for path in plan:
        layers.setdefault(owner[path] if inputs else path, []).append(path)
    found = []
    for who, paths in layers.items():
        given = [plan[path].activation_bits for path in paths]
        group = TiedLayers(
            layers=tuple(paths),
            owner=who,
            bits=tuple(bits),
            planned=Candidate(
                weights=tuple(plan[path].weight_bits for path in paths),
                input=None if None in given else max(b for b in given if b is not None),
            ),
            free=tuple(path for path in paths if not _held(plan, path)),
            free_input=inputs and None not in given and not _input_held(plan, paths),
        )
        if group.free or group.free_input:
            found.append(group)
    return found


def _held(plan: Mapping[str, LayerBits], path: str) -> bool:
    edge = path in (next(iter(plan)), list(plan)[-1]) or plan[path].activation_bits is None
    return edge and plan[path].weight_bits == EDGE_BITS


def _input_held(plan: Mapping[str, LayerBits], paths: Sequence[str]) -> bool:
    behind_image = [path for path in plan if plan[path].activation_bits is not None]
    edges = {*behind_image[:1], list(plan)[-1]}
    return any(path in edges and plan[path].activation_bits == EDGE_BITS for path in paths)


def make_table(
    groups: Sequence[TiedLayers], costs: Costs, sensitivity: SensitivityOf
) -> list[list[Option]]:
    """Cost and sensitivity of every candidate, a row for each group; of tied layers the best at each cost."""
    return [_row(group, costs, sensitivity) for group in groups]


def _row(group: TiedLayers, costs: Costs, sensitivity: SensitivityOf) -> list[Option]:
    if len(group.layers) == 1:
        return [_option(group, choice, costs, sensitivity) for choice in group.candidates()]
    # Many layers have very many combinations: those that another beats in both are not needed.
    row: list[Option] = []
    inputs = group.bits if group.free_input else (group.planned.input,)
    for bits in inputs:
        alone = [_alone(group, k, bits, costs, sensitivity) for k in range(len(group.layers))]
        front = pareto_front(alone)
        for index in range(len(front)):
            picks = front.allocation(index).picks
            weights = tuple(part[k].bits for part, k in zip(alone, picks, strict=True))
            row.append(_option(group, Candidate(weights=weights, input=bits), costs, sensitivity))
    return row


def _alone(
    group: TiedLayers, k: int, bits: int | None, costs: Costs, sensitivity: SensitivityOf
) -> list[Option]:
    """What the weights of one of the group's layers may have, with these bits for the input."""
    path = group.layers[k]
    one = replace(
        group, layers=(path,), free=tuple(p for p in group.free if p == path), free_input=False,
        planned=Candidate(weights=group.planned.weights[k : k + 1], input=bits),
    )  # fmt: skip
    return [
        replace(_option(one, choice, costs, sensitivity), bits=choice.weights[0])
        for choice in one.candidates()
    ]


def _option(
    group: TiedLayers, choice: Candidate, costs: Costs, sensitivity: SensitivityOf
) -> Option:
    total = sum(sensitivity(*one) for one in group.changed(choice))
    return Option(bits=choice, cost=costs.of(group, choice), sensitivity=total)


def with_candidates(
    plan: Mapping[str, LayerBits], groups: Sequence[TiedLayers], choices: Sequence[Candidate]
) -> dict[str, LayerBits]:
    """The plan with these bits."""
    changed = dict(plan)
    for group, choice in zip(groups, choices, strict=True):
        for path, bits in zip(group.layers, choice.weights, strict=True):
            given = choice.input if group.free_input else plan[path].activation_bits
            changed[path] = replace(plan[path], weight_bits=bits, activation_bits=given)
    return changed
