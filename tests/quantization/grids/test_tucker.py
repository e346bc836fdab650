"""Tucker's form: its products against a naive sum, its least squares, its error and its cost."""

import itertools

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.grids.weights.factors.admm import admm, error_of
from engine.quantization.grids.weights.factors.factored import (
    FactoredWeightCodes,
    factor_shapes,
    on_grid,
)
from engine.quantization.grids.weights.factors.tucker import (
    TUCKER,
    balanced,
    compose,
    equations,
    tucker_als,
)


def factors(*sizes: tuple[int, ...]) -> list[torch.Tensor]:
    rng = stream(0, "tucker")
    return [torch.randn(size, generator=rng, dtype=torch.double) for size in sizes]


def three(p: int = 3, q: int = 2) -> list[torch.Tensor]:
    return factors((6, p), (5, q), (p, q, 4))


def tensor(p: int = 6, q: int = 5, noise: float = 0.2) -> torch.Tensor:
    clean = compose(factors((16, p), (12, q), (p, q, 9)))
    extra = torch.randn(clean.shape, generator=stream(1, "tucker"), dtype=torch.double)
    return clean + noise * clean.std() * extra


def fitted(w: torch.Tensor, bits: int = 4, **chosen: object) -> FactoredWeightCodes:
    settings = {"share": 1.0, "sweeps": 10, "als_only": False, "form": "tucker"} | chosen
    quantizer = FactoredWeightCodes(bits, plain=WeightQuantizer(bits), **settings)
    quantizer.fit(w)
    return quantizer


def kernel() -> torch.Tensor:
    return tensor().float().view(16, 12, 3, 3)


def test_compose_is_the_sum_over_both_ranks():
    a, b, core = three()
    out = compose([a, b, core])
    for o in range(6):
        for i in range(5):
            for t in range(4):
                wanted = sum(
                    float(a[o, p] * b[i, q] * core[p, q, t]) for p in range(3) for q in range(2)
                )
                assert float(out[o, i, t]) == pytest.approx(wanted)
    assert torch.allclose(out, torch.einsum("op,iq,pqt->oit", a, b, core))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_each_part_s_equations_are_those_of_its_least_squares(which):
    """The slope of ½ ‖T − T̂‖² by the part is H G − F, with ρ the mean of G's diagonal."""
    t = factors((6, 5, 4))[0]
    parts = three()
    part = parts[which].clone().requires_grad_()
    product = compose([part if k == which else other for k, other in enumerate(parts)])
    (slope,) = torch.autograd.grad(0.5 * (t - product).square().sum(), part)
    told = equations(t, parts, which)
    held = parts[which]
    gram_of_held = slope + told.right  # H G
    assert torch.allclose(told.solve(gram_of_held + told.rho * held), held, atol=1e-6)
    diagonal = [_of_the_diagonal(parts, which, k) for k in range(held.numel())]
    assert float(told.rho) == pytest.approx(sum(diagonal) / len(diagonal))


def _of_the_diagonal(parts: list[torch.Tensor], which: int, k: int) -> float:
    """The squared length of what one entry of a part adds to the tensor: G's diagonal."""
    unit = torch.zeros(parts[which].numel(), dtype=torch.double)
    unit[k] = 1
    moved = [unit.view_as(part) if j == which else part for j, part in enumerate(parts)]
    return float(compose(moved).square().sum())


def test_least_squares_finds_a_tensor_of_its_ranks():
    assert error_of(tensor(noise=0), compose(tucker_als(tensor(noise=0), (6, 5), sweeps=9))) < 1e-6


def test_balanced_columns_are_as_long_as_their_slices_and_the_tensor_the_same():
    a, b, core = three()
    even = balanced([a * 100, b * torch.tensor([1e-3, 7.0]), core])
    assert torch.allclose(compose(even), compose([a * 100, b * torch.tensor([1e-3, 7.0]), core]))
    for way in (0, 1):
        slices = even[2].movedim(way, 0).flatten(1).norm(dim=1)
        assert torch.allclose(even[way].norm(dim=0), slices, rtol=1e-3)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_codes_found_by_admm_err_less_than_balanced_factors_rounded(bits):
    t = tensor()
    start = tucker_als(t, (6, 5), sweeps=50)
    held, _, course = admm(t, start, lambda f: on_grid(f, bits), sweeps=15, form=TUCKER)
    rounded = error_of(t, compose([on_grid(f, bits) for f in start]))
    assert course[0] == pytest.approx(rounded)
    assert error_of(t, compose(held)) == pytest.approx(min(course))
    assert min(course) < 0.97 * rounded
    for factor in held:
        assert len(factor.unique()) <= 2**bits - 1


def test_without_a_grid_the_error_never_rises():
    """Values that may lie anywhere leave least squares, part by part: each can only come nearer."""
    t = tensor()
    start = [f + 0.1 * torch.randn_like(f) for f in tucker_als(t, (6, 5), sweeps=50)]
    *_, course = admm(t, start, lambda f: f, sweeps=15, form=TUCKER)
    assert len(course) > 2
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(course))


def test_full_ranks_at_eight_bits_are_the_weight():
    """No rank is lost: what is left is the rounding of three factors of 255 levels."""
    w = kernel()
    quantizer = fitted(w, 8, share=4.0)
    assert quantizer.ranks == (16, 12)
    assert error_of(w, quantizer(w)) < 0.03


def test_the_ranks_are_the_largest_whose_bytes_fit():
    shape, bits, share = (64, 32, 9), 4, 0.5
    a, b, core = factor_shapes("tucker", shape, bits, share)
    (p, q), plain = core[:2], share * bits * 64 * 32 * 9
    assert (a, b, core[2]) == ((64, p), (32, q), 9)
    assert q == round(p / 2)
    more = p + 1, round((p + 1) / 2)
    for (one, other), fits in (((p, q), True), (more, False)):
        cost = bits * (64 * one + 32 * other + one * other * 9) + 3 * 32
        assert (cost <= plain) == fits
    assert factor_shapes("tucker", (2, 2, 1), 2, 0.05) == ()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_weight_is_the_product_of_what_is_stored_and_the_size_is_its_own(bits):
    w = kernel()
    quantizer = fitted(w, bits)
    stored = quantizer.stored()
    middle = 2 ** (bits - 1) - 1
    p, q = quantizer.ranks
    sizes = (16, p), (12, q), (p, q, 9)
    parts = [
        (stored[f"codes{k}"].float() - middle).view(sizes[k]) * stored["steps"][k].item()
        for k in range(3)
    ]
    product = torch.einsum("op,iq,pqt->oit", *parts).view(w.shape)
    assert torch.allclose(quantizer(w), product, atol=1e-5)
    assert quantizer.count() == sum(stored[f"codes{k}"].numel() for k in range(3))
    assert quantizer.side_bits() == 3 * 32
    assert quantizer.count() * bits + quantizer.side_bits() <= bits * w.numel()
    assert [part.name for part in quantizer.parts(w)] == ["outputs", "inputs", "core"]


def test_as_three_layers_it_computes_the_same():
    w = kernel()
    quantizer = fitted(w)
    p, q = quantizer.ranks
    parts = zip(quantizer.parts(w), ((16, p), (12, q), (p, q, 3, 3)), strict=True)
    a, b, core = (part.quantized().view(size).double() for part, size in parts)
    x = torch.randn(2, 12, 6, 6, generator=stream(1, "x"), dtype=torch.double)
    inner = torch.nn.functional.conv2d(x, b.T[:, :, None, None])
    spread = torch.nn.functional.conv2d(inner, core, padding=1)
    out = torch.nn.functional.conv2d(spread, a[:, :, None, None])
    wanted = torch.nn.functional.conv2d(x, quantizer(w).double(), padding=1)
    assert torch.allclose(out, wanted, atol=1e-3)


def test_put_back_from_a_file_it_is_the_same_and_nothing_is_computed_anew():
    w = kernel()
    first, second = fitted(w), fitted(w, sweeps=1)
    second.restore({name: value.clone() for name, value in first.stored().items()})
    assert torch.equal(second(w), first(w))
    assert second.course == []
    assert second.flipped(w) == 0


def test_a_kernel_of_zeros_stays_zero():
    w = torch.zeros(6, 6, 3, 3)
    assert torch.equal(fitted(w)(w), w)


def test_the_control_rounds_and_the_method_finds_codes_that_err_less():
    w = kernel()
    found, rounded = fitted(w, 3), fitted(w, 3, als_only=True)
    assert error_of(w, found(w)) < 0.97 * error_of(w, rounded(w))
    assert len(rounded.course) == 1
