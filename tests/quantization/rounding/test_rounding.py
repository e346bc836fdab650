"""Rounding column by column: against naive second implementations, and what the papers prove."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.core.trace import count_hooks
from engine.quantization import discover_methods
from engine.quantization.grids.alphabet import AlphabetQuantizer
from engine.quantization.grids.level_sets import level_values, nearest_codes
from engine.quantization.rounding.columns import (
    GreedyPath,
    HessianCompensated,
    choose_at_random,
    choose_nearest,
    choose_sparse,
)
from engine.quantization.rounding.layerwise import LayerwiseRounding
from engine.quantization.rounding.patches import (
    LayerProblem,
    PatchSettings,
    layer_problem,
    unfolded,
)
from tests.contracts.nets import budget, quantizing

ALL = PatchSettings(share=1.0, overlap=True, most=10**6)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def problem(width=24, outputs=5, patches=120, *, noise=0.05, bits=3, groups=1, seed=0, held=0):
    """Correlated inputs behind a ReLU, seen by the student with a little noise."""
    r = rng(seed)
    mix = torch.randn(groups, width, width, generator=r) / math.sqrt(width)
    x = (mix @ torch.randn(groups, width, patches + held, generator=r)).relu()
    seen = x + noise * torch.randn(x.shape, generator=r)
    weight = torch.randn(groups, outputs, width, generator=r)
    half = 2 ** (bits - 1) - 1
    step = weight.abs().amax(2, keepdim=True) / half
    levels = step * torch.arange(-half, half + 1)
    parts = [x[..., :patches], seen[..., :patches], x[..., patches:], seen[..., patches:]]
    return LayerProblem(weight, levels, *parts)


def plain_error(p, *, held_out=False):
    return p.error(level_values(nearest_codes(p.weight, p.levels), p.levels), held_out=held_out)


def finished(policy, p, *, stops=(7, 10**9)):
    rounding = policy(p)
    for stop in stops:
        rounding.advance(min(stop, rounding.width))
    return rounding


def hessian(p, by_energy=False):
    return HessianCompensated(p, damping=0.01, by_energy=by_energy)


def greedy(p):
    return GreedyPath(p, choose_nearest)


# --- greedy path following ----------------------------------------------------------------------


def test_greedy_path_following_is_the_papers_recursion_neuron_by_neuron():
    p = problem(width=9, outputs=3, patches=20)
    rounding = finished(greedy, p, stops=(4, 9))
    for o in range(3):
        u = torch.zeros(20)
        for t in range(9):
            u = u + p.weight[0, o, t] * p.x_teacher[0, t]
            along = float(u @ p.x_student[0, t] / p.x_student[0, t].square().sum())
            level = min(p.levels[0, o].tolist(), key=lambda one: abs(one - along))
            assert rounding.values()[0, o, t].item() == pytest.approx(level)
            u = u - level * p.x_student[0, t]
    assert rounding.error() == pytest.approx(p.error(rounding.values(), held_out=False), rel=1e-4)


def test_a_column_that_the_images_leave_at_zero_takes_its_nearest_level():
    p = problem(width=6)
    p.x_student[:, 2], p.x_teacher[:, 2] = 0, 0
    for policy in (greedy, hessian):
        near = nearest_codes(p.weight, p.levels)
        assert torch.equal(finished(policy, p, stops=(6,)).codes[..., 2], near[..., 2])


def relative_errors(width, seed):
    r = rng(seed)
    x = torch.randn(1, width, 64, generator=r)
    weight = torch.rand(1, 8, width, generator=r) * 2 - 1
    levels = torch.linspace(-1, 1, 7).expand(1, 8, 7).contiguous()
    p = LayerProblem(weight, levels, x, x, x[..., :0], x[..., :0])
    return finished(greedy, p, stops=(width,)).error() ** 2, plain_error(p) ** 2


def slope(xs, ys):
    xs, ys = (torch.tensor(v, dtype=torch.float64).log() for v in (xs, ys))
    xs = xs - xs.mean()
    return float((xs * (ys - ys.mean())).sum() / xs.square().sum())


@pytest.mark.parametrize("seed", range(3))
def test_the_greedy_error_falls_with_the_width_and_that_of_plain_rounding_does_not(seed):
    """The theorem: with as many samples, the squared error relative to ‖WX‖² falls like 1 / width."""
    widths = (128, 256, 512, 1024, 2048)
    errors = [relative_errors(width, seed=seed) for width in widths]
    assert -1.2 < slope(widths, [e for e, _ in errors]) < -0.7
    assert abs(slope(widths, [e for _, e in errors])) < 0.15


def test_drawing_at_random_is_right_on_average_and_takes_the_levels_around():
    levels = torch.tensor([[[-1.0, 0.0, 1.0]]]).expand(1, 20_000, 3).contiguous()
    choose = choose_at_random(rng())
    for value, around in ((0.3, {1, 2}), (-0.75, {0, 1}), (5.0, {2}), (-5.0, {0}), (0.0, {1})):
        codes = choose(torch.full((1, 20_000), value), levels)
        assert set(codes.flatten().tolist()) == around
        mean = level_values(codes[..., None], levels).mean()
        assert float(mean) == pytest.approx(max(-1, min(1, value)), abs=0.02)


def test_the_sparse_form_has_more_zeros_the_higher_its_threshold():
    p = problem(bits=4)
    zeros = [
        float((finished(lambda q, t=t: GreedyPath(q, choose_sparse(t)), p).values() == 0).float().mean())
        for t in (0.0, 0.5, 1.0, 2.0)
    ]  # fmt: skip
    assert zeros == sorted(zeros)
    assert zeros[0] < zeros[-1]
    none = finished(lambda q: GreedyPath(q, choose_sparse(0.0)), p)
    assert torch.equal(none.codes, finished(greedy, p).codes)


# --- Hessian-compensated rounding ---------------------------------------------------------------


def test_hessian_compensation_is_the_recursion_with_the_inverse_shrinking_column_by_column():
    """Optimal Brain Quantization done naively: invert, round one column, pass its error on, eliminate."""
    p = problem(width=7, outputs=3, patches=40, noise=0.0)
    found = finished(hessian, p).values()[0]
    h = p.x_student[0] @ p.x_student[0].T / 40
    h = h + 0.01 * h.diagonal().mean() * torch.eye(7)
    weight, rounded = p.weight[0].clone().double(), torch.zeros(3, 7, dtype=torch.float64)
    for t in range(7):
        inverse = torch.linalg.inv(h[t:, t:].double())
        codes = nearest_codes(weight[:, t : t + 1], p.levels[0].double())
        rounded[:, t : t + 1] = level_values(codes, p.levels[0].double())
        error = (weight[:, t] - rounded[:, t]) / inverse[0, 0]
        weight[:, t:] -= error[:, None] * inverse[:1]
    assert torch.allclose(found.double(), rounded, atol=1e-5)


def test_its_error_from_products_is_that_of_the_outputs():
    p = problem()
    for by_energy in (False, True):
        rounding = finished(lambda q, e=by_energy: hessian(q, by_energy=e), p)
        assert rounding.error() == pytest.approx(
            p.error(rounding.values(), held_out=False), rel=1e-2
        )


def test_with_fine_levels_it_comes_to_the_least_squares_fit_of_the_teachers_output():
    """The student's inputs are off; the best weights for them are others than the teacher's."""
    p = problem(width=8, patches=400, noise=0.6, bits=8)
    wanted = (p.weight @ p.x_teacher)[0].T
    fit = torch.linalg.lstsq(p.x_student[0].T, wanted).solution
    least = float((p.x_student[0].T @ fit - wanted).norm() / wanted.norm())
    assert least < 0.8 * plain_error(p)
    assert finished(hessian, p).error() == pytest.approx(least, rel=0.02)


def test_a_hessian_that_cannot_be_inverted_is_no_trouble():
    p = problem(width=30, patches=4)
    assert torch.isfinite(finished(hessian, p).values()).all()


# --- both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [greedy, hessian])
@pytest.mark.parametrize("groups", [1, 3])
def test_outputs_are_nearer_than_by_plain_rounding_on_images_kept_back_too(policy, groups):
    p = problem(width=32, outputs=16, patches=512, held=256, groups=groups, bits=2)
    rounding = finished(policy, p)
    for held_out in (False, True):
        assert p.error(rounding.values(), held_out=held_out) < plain_error(p, held_out=held_out)


@pytest.mark.parametrize("policy", [greedy, hessian])
def test_codes_do_not_depend_on_where_the_steps_end(policy):
    p = problem()
    one, many = finished(policy, p, stops=(24,)), finished(policy, p, stops=range(1, 25))
    assert torch.equal(one.codes, many.codes)


@pytest.mark.parametrize("policy", [greedy, hessian])
def test_a_column_that_the_images_never_fill_takes_the_level_nearest_to_its_weight(policy):
    """No image can tell what it should be; 0, as released, would lose what real images may fill."""
    p = problem()
    p.x_teacher[:, 5] = p.x_student[:, 5] = 0
    found = finished(policy, p).codes[:, :, 5]
    assert torch.equal(found, nearest_codes(p.weight, p.levels)[:, :, 5])


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("strict", [True, False])
def test_an_alphabet_is_even_around_zero_with_one_step_a_layer(bits, strict):
    weight = torch.randn(5, 3, 3, 3, generator=rng())
    quantizer = AlphabetQuantizer(bits, strict=strict, radius=1.16)
    quantizer.fit(weight)
    levels = quantizer.levels()
    count = 2**bits + (-1 if strict or bits == 8 else 1)
    assert levels.shape == (5, count)
    assert torch.allclose(levels, -levels.flip(1))
    step = 1.16 * float(weight.flatten(1).abs().amax(1).mean()) / 2 ** (bits - 1)
    assert torch.allclose(levels.diff(), torch.tensor(step))
    assert int(quantizer.codes.max()) < count
    assert 2**quantizer.code_bits >= count > 2 ** (quantizer.code_bits - 1)


# --- layers of a network ------------------------------------------------------------------------

LAYERS = {
    "plain": nn.Conv2d(4, 6, 3, stride=2, padding=1),
    "grouped": nn.Conv2d(4, 6, 3, padding=1, groups=2, bias=False),
    "depthwise": nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
    "same": nn.Conv2d(4, 2, (3, 1), padding="same", padding_mode="reflect"),
}


@torch.no_grad()
@pytest.mark.parametrize("kind", LAYERS)
def test_a_convolution_is_its_weights_times_its_patches(kind):
    layer, x = LAYERS[kind], torch.randn(2, 4, 9, 7, generator=rng())
    wanted = layer(x).flatten(2)
    if layer.bias is not None:
        wanted = wanted - layer.bias.view(-1, 1)
    columns = unfolded(layer, x)
    groups = layer.groups
    weight = layer.weight.view(groups, layer.out_channels // groups, -1)
    got = weight @ columns.view(2, groups, -1, columns.shape[-1])
    assert torch.allclose(got.flatten(1, 2), wanted, atol=1e-5)


@torch.no_grad()
def test_a_linear_layer_is_its_weights_times_its_tokens():
    layer = nn.Linear(5, 3, bias=False)
    for shape in ((4, 5), (4, 7, 5)):
        x = torch.randn(shape, generator=rng())
        wanted = layer(x).reshape(4, -1, 3).mT
        assert torch.allclose(layer.weight @ unfolded(layer, x), wanted, atol=1e-5)


@torch.no_grad()
def test_a_problem_sets_the_teachers_input_beside_the_students():
    """With float quantizers put aside the block is the teacher's; afterwards all is as before."""
    work = quantizing(rule="qdrop")
    opened = next(m for m in work.machines(method("nearest")) if m.block.name == "down")
    block, student = opened.block, work.student
    x = torch.rand(16, 4, 8, 8, generator=rng())
    before = block.run(student, x)
    p = layer_problem(
        student, block, "down.conv2", x_teacher=x, x_student=x, settings=ALL, rng=rng()
    )
    hidden = torch.relu(work.teacher.down.bn1(work.teacher.down.conv1(x)))
    wanted = F.unfold(hidden, 3, padding=1)
    assert p.x_teacher.shape[2] + p.held_teacher.shape[2] == wanted.shape[0] * wanted.shape[2]
    sums = p.x_teacher.sum((0, 2)) + p.held_teacher.sum((0, 2))
    assert torch.allclose(sums, wanted.sum((0, 2)), rtol=1e-4)
    assert p.x_student.unique().numel() <= 2**4
    # the same patches of both: where one is far from 0, so is the other
    assert (
        float(torch.corrcoef(torch.stack([p.x_teacher.flatten(), p.x_student.flatten()]))[0, 1])
        > 0.7
    )
    assert torch.equal(block.run(student, x), before)
    assert count_hooks(student) == 0


def method(name, **changes):
    cls = discover_methods()[name]
    return cls(budget(cls.Settings, **changes))


@pytest.mark.parametrize("name", ["gpfq", "hessian"])
def test_the_path_has_every_column_of_every_layer(name):
    work = quantizing()
    for opened in work.machines(method(name, steps=5)):
        for _ in range(5):
            losses = opened.machine.step()
        path = opened.machine.path()
        assert set(path["layer"].tolist()) == set(range(len(opened.block.layers)))
        assert float(path["error"][-1]) == pytest.approx(float(losses["error"]), rel=1e-4)
        assert (path["nearest"] >= 0).all()
        values = opened.machine.values()
        assert {"error_seen", "error_held_out"} == set(values)


def test_layers_are_rounded_for_what_the_layers_before_have_become():
    """The same second layer behind other codes of the first is rounded otherwise."""
    work = quantizing(rule="all", weight_bits=2)
    opened = next(m for m in work.machines(method("nearest")) if m.block.name == "down")
    first, second = work.student.down.conv1, work.student.down.conv2

    def codes(of_first):
        first.weight_quantizer.take(of_first)
        machine = LayerwiseRounding(
            work.student, opened.block, x_teacher=opened.x, x_student=opened.x, patches=ALL,
            policy=greedy, steps=1, rng=rng(),
        )  # fmt: skip
        machine._at = 1  # the second layer alone
        machine.step()
        return second.weight_quantizer.codes.clone()

    near = first.weight_quantizer.codes.clone()
    assert torch.equal(codes(near), codes(near))
    assert not torch.equal(codes(near), codes(near.flip(0)))
