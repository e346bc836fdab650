"""Which channel each weight reads, and whose partner it is: weight by weight, in loops."""

import numpy as np
import pytest

from engine.analysis.similarity.chain import slots
from engine.analysis.similarity.matching import _assigned, _columns, _places
from engine.analysis.similarity.streams import Unit


def unit_of(reads, writes, groups=1, eps=None):
    return Unit(path="u", reads=np.arange(reads), writes=np.arange(writes), groups=groups, eps=eps)


@pytest.mark.parametrize(("outs", "groups"), [(4, 1), (4, 2), (6, 3), (6, 6), (12, 6), (2, 2)])
@pytest.mark.parametrize("inner", [(), (3, 3), (1, 2)])
def test_a_row_reads_the_channels_of_its_own_group_in_order(outs, groups, inner):
    channels = 6
    width = channels // groups
    values = np.random.default_rng(0).random(channels)
    weight = np.ones((outs, width, *inner))
    reads = np.random.default_rng(1).permutation(channels)
    found = np.broadcast_to(
        slots(unit_of(channels, outs, groups), reads, values, weight), weight.shape
    )
    for row in range(outs):
        group = row // (outs // groups)
        for column in range(width):
            wanted = values[reads[group * width + column]]
            assert (found[row, column] == wanted).all()


def test_behind_a_flattening_each_channel_has_its_neighbouring_columns_and_a_batchnorm_one_a_row():
    values, reads = np.array([5.0, 7.0, 9.0]), np.array([2, 0, 1])
    flat = slots(unit_of(3, 4), reads, values, np.ones((4, 6)))
    assert flat.tolist() == [[9, 9, 5, 5, 7, 7]]
    norm = slots(unit_of(3, 3, eps=1e-5), reads, values, np.ones((3, 1)))
    assert norm.tolist() == [[9], [5], [7]]


def test_each_row_is_assigned_to_the_one_of_most_like_direction_whatever_its_length():
    rng = np.random.default_rng(0)
    ours = rng.normal(size=(5, 4, 2))
    order = np.array([3, 0, 4, 1, 2])
    lengths = np.array([0.1, 9.0, 1.0, 4.0, 0.5])[:, None, None]
    theirs = (ours * lengths)[order]
    found = _assigned(ours, theirs)
    assert [int(order[k]) for k in found] == [0, 1, 2, 3, 4]
    theirs[int(found[2])] = 0  # a row without weights has no direction, and is whose is left
    assert _assigned(ours, theirs).tolist() == found.tolist()


def test_a_partner_s_place_is_where_it_stands_among_theirs_and_one_without_stays():
    channels = np.array([4, 5, 6, 7])
    partner = np.array([0, 1, 2, 3, 6, 4, 5, -1])
    # Theirs stand in the order 4, 5, 6, 7: the partner of 4 is 6, third of them.
    assert _places(channels, partner).tolist() == [2, 0, 1, 3]
    weights = np.arange(16.0).reshape(2, 8)
    moved = _columns(weights, np.array([2, 0, 1, 3]))
    assert moved.tolist() == [[4, 5, 0, 1, 2, 3, 6, 7], [12, 13, 8, 9, 10, 11, 14, 15]]
