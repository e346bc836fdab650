"""Factors of codes: ADMM against second ways of computing it, their cost, and that they are the weight."""

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.grids.weights.factors.admm import admm
from engine.quantization.grids.weights.factors.cp import (
    CP,
    _normal_equations,
    balanced,
    compose,
    cp_als,
    relative_error,
)
from engine.quantization.grids.weights.factors.factored import (
    FactoredWeightCodes,
    factor_shapes,
    on_grid,
    ways,
)


def tensor(*shape: int, rank: int = 6, noise: float = 0.1, seed: int = 0) -> torch.Tensor:
    rng = stream(seed, "cp")
    factors = [torch.randn(n, rank, generator=rng, dtype=torch.double) for n in shape]
    clean = compose(factors)
    extra = torch.randn(shape, generator=rng, dtype=torch.double)
    return clean + noise * clean.std() * extra


def fitted(w: torch.Tensor, bits: int = 4, **chosen: object) -> FactoredWeightCodes:
    settings = {"share": 1.0, "sweeps": 10, "als_only": False} | chosen
    quantizer = FactoredWeightCodes(bits, plain=WeightQuantizer(bits), **settings)
    quantizer.fit(w)
    return quantizer


def kernel(out: int = 10, inner: int = 8) -> torch.Tensor:
    return tensor(out, inner, 9, noise=0.3).float().view(out, inner, 3, 3)


def test_compose_is_the_sum_of_products():
    a, b, c = (torch.randn(n, 2, generator=stream(n, "cp")) for n in (3, 4, 5))
    out = compose([a, b, c])
    for i in range(3):
        for j in range(4):
            for k in range(5):
                wanted = sum(float(a[i, r] * b[j, r] * c[k, r]) for r in range(2))
                assert float(out[i, j, k]) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("way", [0, 1, 2])
def test_one_factor_s_equations_are_those_of_least_squares(way):
    t = tensor(6, 5, 7)
    factors = [torch.randn(n, 4, generator=stream(n, "cp"), dtype=torch.double) for n in t.shape]
    gram, right = _normal_equations(t, factors, way)
    solved = torch.linalg.solve(gram, right.T).T
    others = [f for k, f in enumerate(factors) if k != way]
    design = torch.einsum("ar,br->abr", *others).reshape(-1, 4)
    wanted = torch.linalg.lstsq(design, t.movedim(way, 0).flatten(1).T).solution.T
    assert torch.allclose(solved, wanted, atol=1e-8)


def test_als_finds_a_tensor_of_its_rank():
    t = tensor(9, 8, 7, rank=3, noise=0.0)
    assert relative_error(t, cp_als(t, 3, sweeps=300, rng=stream(0, "als"))) < 0.02


def test_balanced_columns_are_equally_long_and_the_tensor_the_same():
    factors = [torch.randn(n, 4, generator=stream(n, "cp"), dtype=torch.double) for n in (5, 6, 7)]
    factors = [factors[0] * 100, factors[1] / 7, factors[2] * torch.tensor([1.0, 50.0, 0.1, 0.0])]
    even = balanced(factors)
    assert torch.allclose(compose(even), compose(factors))
    lengths = torch.stack([factor.norm(dim=0) for factor in even])
    assert torch.allclose(lengths, lengths[:1].expand_as(lengths))
    assert torch.isfinite(lengths).all()


def test_als_gives_balanced_factors():
    """Else what ADMM gains over rounding would be what balancing gains."""
    t = tensor(9, 8, 7) * 1000
    found = [f.norm(dim=0) for f in cp_als(t, 5, sweeps=20, rng=stream(0, "als"))]
    assert torch.allclose(found[0], found[1])
    assert torch.allclose(found[0], found[2])


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_codes_found_by_admm_err_less_than_balanced_factors_rounded(bits):
    t = tensor(16, 16, 9, rank=12)
    start = cp_als(t, 12, sweeps=50, rng=stream(0, "als"))
    held, _, course = admm(t, start, lambda f: on_grid(f, bits), sweeps=15, form=CP)
    rounded = relative_error(t, [on_grid(f, bits) for f in start])
    assert course[0] == pytest.approx(rounded)
    assert relative_error(t, held) == pytest.approx(min(course))
    assert relative_error(t, held) < 0.95 * rounded
    for factor in held:
        assert len(factor.unique()) <= 2**bits - 1


def test_admm_never_gives_back_worse_than_it_began_with():
    t = tensor(8, 8, 9)
    start = cp_als(t, 6, sweeps=50, rng=stream(0, "als"))
    held, _, course = admm(t, start, lambda f: on_grid(f, 8), sweeps=5, form=CP)
    assert relative_error(t, held) <= course[0]


def test_the_rank_is_the_largest_whose_bytes_fit():
    shape, bits, share = (64, 64, 9), 4, 0.5
    rank = factor_shapes("cp", shape, bits, share)[0][1]
    plain = share * bits * 64 * 64 * 9
    assert rank * (64 + 64 + 9) * bits + 3 * 32 <= plain
    assert (rank + 1) * (64 + 64 + 9) * bits + 3 * 32 > plain
    assert factor_shapes("cp", (2, 2, 1), 2, 0.05) == ()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_weight_is_the_product_of_the_stored_factors_and_the_size_theirs(bits):
    w = kernel()
    quantizer = fitted(w, bits)
    stored = quantizer.stored()
    middle = 2 ** (bits - 1) - 1
    codes = [stored[f"codes{k}"] for k in range(3)]
    factors = [(c.float() - middle) * stored["steps"][k].item() for k, c in enumerate(codes)]
    product = torch.einsum("or,ir,kr->oik", *factors).view(w.shape)
    assert torch.allclose(quantizer(w), product, atol=1e-6)
    assert all(c.dtype == torch.uint8 and int(c.max()) <= 2 * middle for c in codes)
    assert quantizer.count() == sum(c.numel() for c in codes)
    assert quantizer.side_bits() == 3 * 32
    assert quantizer.count() * bits + quantizer.side_bits() <= bits * w.numel()


def test_as_three_layers_it_computes_the_same():
    w = kernel()
    quantizer = fitted(w)
    a, b, c = (
        part.quantized().view(-1, quantizer.ranks[0]).double() for part in quantizer.parts(w)
    )
    x = torch.randn(2, 8, 6, 6, generator=stream(1, "x"), dtype=torch.double)
    inner = torch.nn.functional.conv2d(x, b.T[:, :, None, None])
    spread = torch.nn.functional.conv2d(
        inner, c.T.reshape(-1, 1, 3, 3), padding=1, groups=quantizer.ranks[0]
    )
    out = torch.nn.functional.conv2d(spread, a[:, :, None, None])
    wanted = torch.nn.functional.conv2d(x, quantizer(w).double(), padding=1)
    assert torch.allclose(out, wanted, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (8, 1, 3, 3), (8, 8, 1, 1), (8, 8)])
def test_what_is_not_factorized_is_plain_codes(shape):
    w = torch.randn(shape, generator=stream(0, "plain"))
    assert ways(w) is None
    quantizer, plain = fitted(w), WeightQuantizer(4)
    plain.fit(w)
    assert torch.equal(quantizer(w), plain(w))
    assert quantizer.single() is quantizer.plain
    assert (quantizer.count(), quantizer.side_bits()) == (w.numel(), plain.side_bits())


def test_put_back_from_a_file_it_is_the_same_and_nothing_is_computed_anew():
    w = kernel()
    first, second = fitted(w), fitted(w, sweeps=1)
    second.restore({name: value.clone() for name, value in first.stored().items()})
    assert torch.equal(second(w), first(w))
    assert second.course == []
    assert first.single() is None
    first.codes0[0, 0] = 0 if first.codes0[0, 0] else 1
    assert first.flipped(w) > second.flipped(w) == 0


def test_a_kernel_of_zeros_stays_zero():
    w = torch.zeros(6, 6, 3, 3)
    assert torch.equal(fitted(w)(w), w)
