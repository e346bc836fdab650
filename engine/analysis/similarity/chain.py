"""Weights freed of what says nothing: how a chain of layers shares out its factors among them.

Chain normalization after "Weight similarity" (arXiv 2208.04369, of which only the abstract could be had;
the rule is our own): behind a ReLU a channel may be made a times as large and its readers' weights 1/a
times, and the network is the same. So every row of a layer is divided by its length, and what reads it
is multiplied by that. A residual stream has one factor per channel, the geometric mean over the layers
that write to it. The last layer keeps its length, which a cosine does not see. Choice: the length is
that of the weights without the bias, and the bias's where a channel has no weights. So every channel
of a chain counts alike: where one that is all but dead was pruned away, the cosine falls by its share.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analysis.similarity.streams import Numbers, Streams, Unit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """One unit's weights [outputs, inputs of a group, ...] and biases [outputs]."""

    weight: Floats
    bias: Floats | None = None


def unit_weights(unit: Unit, state: Mapping[str, NDArray[np.generic]]) -> Weights:
    """What a unit computes with, of a network's tensors by name; a BatchNorm as factor and bias."""

    def tensor(name: str) -> Floats | None:
        found = state.get(f"{unit.path}.{name}")
        return None if found is None else found.astype(np.float64)

    weight, bias = tensor("weight"), tensor("bias")
    if unit.eps is None:
        assert weight is not None
        return Weights(weight, bias)
    mean, variance = tensor("running_mean"), tensor("running_var")
    assert mean is not None
    assert variance is not None
    factor = (1.0 if weight is None else weight) / np.sqrt(variance + unit.eps)
    return Weights(factor[:, None], (0.0 if bias is None else bias) - factor * mean)


def all_weights(streams: Streams, state: Mapping[str, NDArray[np.generic]]) -> dict[str, Weights]:
    """Every unit's, by its path."""
    return {unit.path: unit_weights(unit, state) for unit in streams.units}


def normalised(streams: Streams, weights: Mapping[str, Weights]) -> dict[str, Floats]:
    """Every unit's weights, [outputs, inputs of a group, ...], with the chain's factors divided out."""
    factors, ratios = _factors(streams, weights, {})
    shared = {
        channel: factors[channel] * float(np.exp(np.mean(found)))
        for channel, found in ratios.items()
        if len(found) > 1
    }
    factors, _ = _factors(streams, weights, shared)
    return {
        unit.path: _read(unit, streams, weights[unit.path].weight, factors)
        / _along_rows(factors[streams.factor[unit.writes]], weights[unit.path].weight)
        for unit in streams.units
    }


def _factors(
    streams: Streams, weights: Mapping[str, Weights], known: Mapping[int, float]
) -> tuple[Floats, dict[int, list[float]]]:
    """(each channel's factor, the logarithms of all lengths that were written to it, less the factor's).

    A channel has the length of the first row that writes to it, where its factor is not `known`.
    """
    factors = np.ones(len(streams.factor))
    ratios: dict[int, list[float]] = {}
    factors[[*known]] = [*known.values()]
    for unit in streams.units:
        weight, bias = weights[unit.path].weight, weights[unit.path].bias
        rows = _read(unit, streams, weight, factors).reshape(len(weight), -1)
        lengths = np.sqrt((rows**2).sum(1))
        if bias is not None:
            lengths = np.where(lengths > 0, lengths, np.abs(bias))
        for channel, length in zip(streams.factor[unit.writes].tolist(), lengths, strict=True):
            if not streams.free_factor[channel] or length == 0:
                continue
            if channel not in ratios and channel not in known:
                factors[channel] = length
            ratios.setdefault(channel, []).append(float(np.log(length / factors[channel])))
    return factors, ratios


def _read(unit: Unit, streams: Streams, weight: Floats, factors: Floats) -> Floats:
    """The weights, each times the factor of what it reads."""
    found: Floats = weight * slots(unit, streams.factor[unit.reads], factors, weight)
    return found


def slots(unit: Unit, reads: Numbers, values: Floats, weight: Floats) -> Floats:
    """A value for each channel, laid out as the weights that read it, ready to be multiplied."""
    inner = (1,) * (weight.ndim - 2)
    found = values[reads]
    if unit.eps is not None:
        return found[:, None]
    if unit.groups == 1:  # behind a flattening every channel has several neighbouring columns
        return np.repeat(found, weight.shape[1] // len(reads)).reshape(1, -1, *inner)
    group = np.arange(len(weight)) // (len(weight) // unit.groups)
    place = group[:, None] * weight.shape[1] + np.arange(weight.shape[1])
    laid: Floats = found[place].reshape(len(weight), -1, *inner)
    return laid


def _along_rows(values: Floats, weight: Floats) -> Floats:
    return values.reshape(-1, *(1,) * (weight.ndim - 1))
