"""The table that solvers choose from: what each candidate costs, and how much the network minds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.quantization.bits.candidates import Candidate, TiedLayers
from engine.quantization.bits.kernel_times import KernelTimes
from engine.quantization.bits.solvers import Option, pareto_front
from engine.quantization.plan import EDGE_BITS

NS_PER_MS = 1_000_000
SensitivityOf = Callable[
    [str, str, int], float
]  # of a path, its "weight" or "input", at so many bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a budget counts: bits of the codes that have a choice, bit operations or time for one image.

    Time is in nanoseconds, by a table of what each layer takes alone: in 8 bits where its input is
    quantized, to however few bits, and as floats otherwise. Bits of weights cost none.
    """

    kind: str  # bytes, bit-operations or latency
    weights: Mapping[str, int]  # how many each layer has
    macs: Mapping[str, int]
    times: Mapping[str, KernelTimes] = field(default_factory=dict)  # for latency
    fixed: int = 0  # what layers without a choice cost, where that is counted too

    def of(self, group: TiedLayers, choice: Candidate) -> int:
        """Of one group; codes of fixed layers are left out."""
        each = zip(group.layers, choice.weights, strict=True)
        if self.kind == "bytes":
            return sum(self.weights[path] * bits for path, bits in each if path in group.free)
        if self.kind == "latency":
            return sum(self.nanoseconds(path, choice.input) for path in group.layers)
        return sum(self.macs[path] * bits * (choice.input or EDGE_BITS) for path, bits in each)

    def nanoseconds(self, path: str, input_bits: int | None) -> int:
        """What the layer takes with an input of so many bits; None: with one that stays float."""
        times = self.times[path]
        return round(NS_PER_MS * (times.of_float if input_bits is None else times.of_int8))

    def least(self, group: TiedLayers) -> int:
        """The cheapest that the group can be had for."""
        return min(self.of(group, choice) for choice in group.cheapest())

    def unit(self, cost: int) -> float:
        """In bytes, operations, or milliseconds of all layers."""
        if self.kind == "latency":
            return (cost + self.fixed) / NS_PER_MS
        return cost / 8 if self.kind == "bytes" else float(cost)


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
    for bits in group.inputs or (group.planned.input,):
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
        group, layers=(path,), free=tuple(p for p in group.free if p == path), inputs=(),
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
