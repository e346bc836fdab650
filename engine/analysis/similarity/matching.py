"""Channels of one network put into the order of another's, where no answer depends on the order.

Along the chain: the rows of a layer are assigned to those of the other so that the cosines together are
largest (Hungarian method), after the columns have been put in the order that was found before. All that
writes to one stream, and a depthwise layer behind it, has one order: that of the first layer.
"""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from engine.analysis.similarity.chain import Floats
from engine.analysis.similarity.streams import Numbers, Streams


def matched(
    streams: Streams, ours: Mapping[str, Floats], theirs: Mapping[str, Floats]
) -> tuple[dict[str, Floats], int]:
    """(their weights in our order of channels, how many channels have another place in theirs).

    Both [outputs, inputs of a group, ...] by the path of a unit, chain-normalised, of one architecture.
    """
    partner = np.where(streams.free_order, -1, np.arange(len(streams.order)))
    found = {}
    for unit in streams.units:
        mine, other = ours[unit.path], theirs[unit.path]
        if unit.groups == 1 and unit.eps is None:
            other = _columns(other, _places(streams.order[unit.reads], partner))
        written = streams.order[unit.writes]
        if (partner[written] < 0).all():
            partner[written] = written[_assigned(mine, other)]
        found[unit.path] = other[_places(written, partner)]
    roots = np.unique(streams.order)
    return found, int((partner[roots] != roots).sum())


def _assigned(ours: Floats, theirs: Floats) -> Numbers:
    """For each of our rows the row of theirs that is its partner."""
    a, b = (_unit_rows(weights.reshape(len(weights), -1)) for weights in (ours, theirs))
    found: Numbers = linear_sum_assignment(a @ b.T, maximize=True)[1]
    return found


def _unit_rows(rows: Floats) -> Floats:
    lengths = np.sqrt((rows**2).sum(1, keepdims=True))
    return rows / np.where(lengths > 0, lengths, 1)


def _places(channels: Numbers, partner: Numbers) -> Numbers:
    """For each of our channels, where its partner stands in theirs; a channel without one stays."""
    wanted = np.where(partner[channels] < 0, channels, partner[channels])
    places = np.empty(len(channels), np.int64)
    places[np.argsort(wanted, kind="stable")] = np.argsort(channels, kind="stable")
    return places


def _columns(weights: Floats, places: Numbers) -> Floats:
    """Their columns in our order; a channel may have several that stand together."""
    shape = weights.shape
    apart = weights.reshape(shape[0], len(places), -1)
    return apart[:, places].reshape(shape)
