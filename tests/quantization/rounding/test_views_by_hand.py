"""What is drawn of a quantizer at work, number by number."""

from types import SimpleNamespace

import pytest
import torch

from engine.quantization.grids.rounding_borders import BorderQuantizer
from engine.quantization.rounding.views import (
    BINS,
    MOST_COLUMNS,
    MOST_LEVELS,
    MOST_POINTS,
    border_view,
    channel_arrays,
    levels_view,
    path_view,
    soft_rounding_view,
    thinned,
)


def softly(h):
    return SimpleNamespace(soft_rounding=lambda: h)


def test_soft_roundings_are_counted_in_even_bins_from_down_to_up():
    h = torch.tensor([0.0, 0.01, 0.0101, 0.3, 0.49, 0.5, 0.6, 0.9899, 0.99, 1.0])
    view = soft_rounding_view("layer", [softly(h[:4]), softly(h[4:])])
    assert view.what == "layer"
    assert view.arrays["centres"].tolist() == pytest.approx([(k + 0.5) / BINS for k in range(BINS)])
    counts = [0] * BINS
    for value in h.tolist():
        counts[min(int(value * BINS), BINS - 1)] += 1
    assert view.arrays["shares"].tolist() == pytest.approx([count / 10 for count in counts])
    assert view.values["decided"] == pytest.approx(0.4), "within a hundredth of either end"
    assert view.values["up"] == pytest.approx(0.5), "a half is up"


@pytest.mark.parametrize("signed", [True, False])
def test_borders_are_the_sigmoids_of_their_quadratics_over_the_range(signed):
    quantizer = BorderQuantizer(4)
    quantizer.low = -8 if signed else 0
    b = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))
    quantizer.border = torch.nn.Parameter(b, requires_grad=False)
    view = border_view("layer", quantizer)
    at = torch.linspace(-1 if signed else 0, 1, 15)
    wanted = torch.stack(
        [1 / (1 + torch.exp(-(b[0, c] + b[1, c] * at + b[2, c] * at**2))) for c in range(12)]
    )
    assert torch.allclose(view.arrays["value"], at)
    assert torch.allclose(view.arrays["lowest"], wanted.min(0).values)
    assert torch.allclose(view.arrays["highest"], wanted.max(0).values)
    assert torch.allclose(
        view.arrays["middle"], wanted.sort(0).values[5]
    )  # the lower of two middles
    samples = [name for name in view.arrays if name.startswith("sample")]
    assert len(samples) == 4, "every third of twelve: at most five"
    for k, name in enumerate(samples):
        assert torch.allclose(view.arrays[name], wanted[3 * k])
    assert view.values["farthest"] == pytest.approx(float((wanted - 0.5).abs().max()))


def at_work(width, at, levels=5):
    """Columns in falling order, codes that tell their column."""
    order = torch.arange(width).flip(0)
    return SimpleNamespace(
        at=at, width=width, order=order,
        problem=SimpleNamespace(weight=torch.arange(2.0 * width).view(1, 2, width)),
        levels=10 * torch.arange(2.0 * levels).view(1, 2, levels),
        codes=(torch.arange(2 * width) % levels).view(1, 2, width),
        path=[(k, 0.5 + k, 1.5 + k) for k in range(at)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("width", "at", "first"),
    [(20, 5, 0), (200, 0, 0), (200, 36, 0), (200, 100, 64), (200, 200, 152)],
)
def test_of_one_channel_the_columns_around_the_one_at_work_are_seen_in_their_order(
    width, at, first
):
    """Three quarters of them are taken already, where so many are; those to come have no value yet."""
    rounding = at_work(width, at)
    arrays = channel_arrays(rounding)
    places = list(range(first, first + min(width, MOST_COLUMNS)))
    assert arrays["column"].tolist() == places
    assert arrays["weight"].tolist() == [width - 1 - place for place in places]
    for place, taken in zip(places, arrays["taken"].tolist(), strict=True):
        if place < at:
            assert taken == 10 * ((width - 1 - place) % 5)
        else:
            assert taken != taken  # not a number
    assert arrays["levels"].tolist() == [0, 10, 20, 30, 40]


def test_levels_are_drawn_where_they_are_few():
    for count in (MOST_LEVELS, MOST_LEVELS + 1):
        assert ("levels" in channel_arrays(at_work(20, 5, count))) is (count <= MOST_LEVELS)


@pytest.mark.parametrize("columns", [1, MOST_POINTS, MOST_POINTS + 1, 500])
def test_a_path_is_thinned_evenly_to_its_last_column(columns):
    view = path_view("layer", at_work(columns, columns))
    every = -(-columns // MOST_POINTS)
    wanted = list(range(0, columns, every))
    wanted[-1] = columns - 1
    assert view.arrays["at"].tolist() == wanted
    assert view.arrays["error"].tolist() == [0.5 + k for k in wanted]
    assert view.arrays["nearest"].tolist() == [1.5 + k for k in wanted]
    assert view.values == {"error": columns - 0.5, "nearest": columns + 0.5}
    assert view.what == "layer"


def test_thinned_without_its_last_row_begins_at_the_first():
    for count in (1, 4, 5, 8, 9, 13):
        found = thinned(torch.arange(count), 4).tolist()
        assert found == list(range(0, count, -(-count // 4)))
    assert thinned(torch.arange(9), 4, last=True).tolist() == [0, 3, 8]


def test_a_histogram_beside_levels_reaches_as_far_as_both():
    values = torch.tensor([-1.0, -0.9, 0.0, 0.3, 1.0])
    levels, basis = torch.tensor([-2.0, -0.5, 0.5, 3.0]), torch.tensor([1.0, 2.0])
    view = levels_view("layer", 7, values, levels, basis)
    width = 5 / (2 * BINS)
    assert view.arrays["centres"].tolist() == pytest.approx(
        [-2 + (k + 0.5) * width for k in range(2 * BINS)], abs=1e-5
    )
    counts = [0] * (2 * BINS)
    for value in values.tolist():
        counts[int((value + 2) / width)] += 1
    assert view.arrays["shares"].tolist() == pytest.approx([count / 5 for count in counts])
    assert view.arrays["levels"].tolist() == levels.tolist()
    assert view.arrays["basis"] is basis
    near = [-0.5, -0.5, -0.5, 0.5, 0.5]  # 0 is as far from both: the lower one
    errors = [(a - b) ** 2 for a, b in zip(values.tolist(), near, strict=True)]
    assert view.values["mse"] == pytest.approx(sum(errors) / 5)
    assert view.values["turn"] == 7
