"""One layer's tensors made small enough to draw: by hand, and by counting one by one."""

import pytest
import torch

from engine.analysis.layers.tensors import as_maps, beyond, pairs, shares, shift_share, tones


def test_shares_are_of_all_values_those_outside_included():
    assert shares(torch.tensor([0.0, 0.5, 1.5, 3.0]), 0.0, 2.0, 2) == [0.5, 0.25]


def test_what_lies_half_a_step_outside_of_the_levels_is_clipped():
    levels = torch.tensor([0.0, 1.0, 2.0, 4.0])  # the last step is twice as wide
    values = torch.tensor([-0.6, -0.4, 2.4, 4.9, 5.1])
    assert beyond(values, levels) == pytest.approx(2 / 5)
    assert beyond(values, levels[:1]) == 0


def test_pairs_are_counted_in_the_cell_of_both():
    found = pairs(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([1.0, 0.0, 0.1]), 2)
    assert found.counts == [[0, 2], [1, 0]]  # rows: the second, columns: the first
    assert (found.low, found.high) == (0, 1)
    x = torch.randn(500)
    same = torch.tensor(pairs(x, x, 16).counts)
    assert int(same.diag().sum()) == 500 == int(same.sum())
    assert pairs(torch.ones(3), torch.ones(3), 4).counts[0][0] == 3, "no width, and no error"


@pytest.mark.parametrize("more", [0, 1])
def test_tokens_are_put_back_where_they_lie(more):
    places = torch.arange(9.0)
    y = torch.cat([torch.full((more,), -1.0), places])[None, :, None].repeat(2, 1, 3)
    maps = as_maps(y, -1, 32)
    assert maps.shape == (2, 3, 3, 3)
    assert torch.equal(maps[1, 2], places.view(3, 3))


def test_a_large_map_is_averaged_and_a_row_of_outputs_is_none():
    y = torch.arange(32.0).view(1, 2, 4, 4)
    maps = as_maps(y, 1, 2)
    assert torch.equal(maps[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))
    assert as_maps(y, 1, 4) is y, "small enough as it is: nothing is averaged or copied"
    assert as_maps(torch.ones(3, 5), -1, 32) is None
    assert as_maps(torch.ones(3, 6, 5), -1, 32) is None, "neither 6 nor 5 tokens are a square"
    assert as_maps(torch.ones(3, 6, 1, 1), 1, 32) is None


def test_maps_of_both_networks_have_one_scale_a_channel():
    one, two = (
        torch.randn(2, 3, 4, 4),
        torch.randn(2, 3, 4, 4) * torch.tensor([1.0, 9, 0.1]).view(3, 1, 1),
    )
    drawn = tones([one, two])
    assert drawn[0].low == drawn[1].low
    assert drawn[0].high == drawn[1].high
    for given, part in zip((one, two), drawn, strict=True):
        low, high = (torch.tensor(v).view(3, 1, 1) for v in (part.low, part.high))
        back = low + part.tones / 255 * (high - low)
        assert ((back - given).abs() <= (high - low) / 509).all()
        assert {int(t.tones[:, 0].min()) for t in drawn} >= {0}
    (difference,) = tones([one], about_zero=True)
    assert difference.low == [-high for high in difference.high]
    assert difference.high == one.abs().amax((0, 2, 3)).tolist()


def test_a_shift_is_what_a_bias_for_each_channel_undoes():
    wanted = torch.randn(6, 3, 4, 4)
    shift = torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1)
    assert shift_share(wanted, wanted + shift, 1) == pytest.approx(1)
    assert shift_share(wanted, wanted, 1) == 0
    sign = torch.tensor([1.0, -1.0]).repeat(3).view(6, 1, 1, 1)  # no mean
    assert shift_share(wanted, wanted + sign, 1) == pytest.approx(0, abs=1e-6)
    assert shift_share(wanted, wanted + shift + sign, 1) == pytest.approx(1.75 / 2.75, rel=1e-5)
    tokens = torch.randn(2, 9, 3)  # channels last
    assert shift_share(tokens, tokens + shift.view(1, 1, 3), -1) == pytest.approx(1)
