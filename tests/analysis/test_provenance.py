"""Where a layer's error comes from: against sums written out by hand and a second, naive implementation."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.analysis.layers.provenance import PARTS, Shares, error_parts
from engine.analysis.layers.reading import sentence, verdict


def shares_of(teacher, student, *reads):
    error, parts = error_parts(teacher, student, *reads)
    found = Shares()
    found.add(teacher(reads[0]).detach(), error, parts)
    return error, parts, found


def test_a_product_of_two_numbers_is_split_by_hand():
    """W = 2, Ŵ = 3, x_t = 1, x_s = 1.5, Q(x_s) = 2, b = 0, b̂ = 0.25."""
    teacher, student = nn.Linear(1, 1), nn.Linear(1, 1)
    for layer, weight, bias in ((teacher, 2.0, 0.0), (student, 3.0, 0.25)):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    reads = [torch.tensor([[x]]) for x in (1.0, 1.5, 2.0)]
    error, parts, found = shares_of(teacher, student, *reads)
    assert float(error.detach()) == 4.25  # 3 · 2 + 0.25 − 2 · 1
    assert {name: float(part.detach()) for name, part in parts.items()} == {
        "weights": 1.0, "activations": 1.0, "inherited": 1.0, "interaction": 1.25,
    }  # fmt: skip
    assert found.values()["interaction"] == pytest.approx(1.25 / 4.25)


def naive_convolution(x, weight, layer):
    """Output pixel by output pixel, group by group."""
    (s, _), (p, _), groups = layer.stride, layer.padding, layer.groups
    x = F.pad(x.double(), (p, p, p, p))
    out_channels, per_group, k, _ = weight.shape
    size = (x.shape[2] - k) // s + 1
    y = torch.zeros(len(x), out_channels, size, size, dtype=torch.double)
    for c in range(out_channels):
        first = c // (out_channels // groups) * per_group
        for i in range(size):
            for j in range(size):
                patch = x[:, first : first + per_group, i * s : i * s + k, j * s : j * s + k]
                y[:, c, i, j] = (patch * weight[c].double()).sum((1, 2, 3))
    return y


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 2), (4, 1)])
def test_a_convolution_is_split_as_by_loops_over_its_pixels(groups, stride):
    rng = torch.Generator().manual_seed(groups)
    teacher = nn.Conv2d(4, 4, 3, stride, 1, groups=groups).requires_grad_(False)
    student = nn.Conv2d(4, 4, 3, stride, 1, groups=groups).requires_grad_(False)
    for layer in (teacher, student):
        layer.bias.zero_()
    teacher.weight.copy_(torch.randn(teacher.weight.shape, generator=rng))
    student.weight.copy_(teacher.weight + 0.2 * torch.randn(teacher.weight.shape, generator=rng))
    x_t, noise = (torch.randn(3, 4, 6, 6, generator=rng) for _ in range(2))
    x_s = x_t + 0.3 * noise
    x_q = (x_s * 2).round() / 2
    error, _, found = shares_of(teacher, student, x_t, x_s, x_q)
    w, w_hat = teacher.weight, student.weight
    parts = {
        "weights": naive_convolution(x_t, w_hat - w, teacher),
        "activations": naive_convolution(x_q - x_s, w, teacher),
        "inherited": naive_convolution(x_s - x_t, w, teacher),
        "interaction": naive_convolution(x_q - x_t, w_hat - w, teacher),
    }
    e = naive_convolution(x_q, w_hat, teacher) - naive_convolution(x_t, w, teacher)
    assert error.double() == pytest.approx(e, abs=1e-5)
    energy = float((e * e).sum())
    shares = found.values()
    for name in PARTS:
        assert shares[name] == pytest.approx(float((parts[name] * e).sum()) / energy, abs=1e-5)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)


def test_a_part_that_makes_up_for_another_is_negative():
    teacher, student = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(teacher.weight, 1.0)
    nn.init.constant_(student.weight, 0.5)  # halves what came in too large
    x_t, x_s = torch.tensor([[1.0]]), torch.tensor([[4.0]])
    _, _, found = shares_of(teacher, student, x_t, x_s, x_s)
    assert found.values()["inherited"] == pytest.approx(3.0)  # 3 of an error of 1
    assert found.values()["weights"] == pytest.approx(-0.5)
    assert found.values()["interaction"] == pytest.approx(-1.5)


def test_without_an_error_there_are_no_shares_and_what_is_not_finite_has_none():
    layer = nn.Linear(2, 2)
    x = torch.ones(1, 2)
    assert shares_of(layer, layer, x, x, x)[2].values() is None
    broken = shares_of(layer, layer, x, x, x * float("inf"))[2]
    assert broken.values() is None
    assert broken.sqnr_db() == -100


def row(path, db=10.0, origin="", gain=0.0, **share):
    shares = dict.fromkeys(PARTS, 0.0) | share
    found = {"path": path, "share": shares, "sqnr_accumulated_db": db}
    found |= {"origin": origin, "origin_gain": gain}
    return found | {"verdict": verdict(found)}


def test_the_reading_names_the_largest_part_and_where_to_begin():
    early = row("layer2.1", weights=0.7, activations=0.3)
    late = row("fc", 5.0, "layer2.1", 0.41, inherited=0.82, weights=0.18)
    assert early["verdict"].startswith(
        "70\u00a0% of what is wrong here is made by its weights; give its"
    )
    assert late["verdict"] == (
        "82\u00a0% of what is wrong here came in, more of it from layer2.1 than from any other layer (in "
        "float it would take 41\u00a0% of the error away); give bits there first."
    )
    assert sentence([early, late]) == (
        f"fc, the last layer (5 dB): {late['verdict']} There 70\u00a0% of the error is made by its weights."
    )


def test_what_hardly_errs_gets_no_advice_and_what_is_broken_is_named_first():
    fine = row("conv", 45.0, weights=1.0)
    assert fine["verdict"] == "Only a small error (45 dB): 100\u00a0% of it is made by its weights."
    broken = row("bad", -100.0) | {"share": None}
    assert "bad gives what is not finite" in sentence([fine, broken])
    assert sentence([fine, fine, fine | {"path": "z"}]).startswith("z, the last layer")
    assert (
        sentence([fine | {"share": None, "sqnr_accumulated_db": 100.0}]) == "No layer has an error."
    )
