"""Evenly spaced levels that are sums of powers of two, where learned bases start from."""

import torch
from torch import Tensor

FEW_CHANGES = 15  # of one value's code: so many are gone through however long the row is
SHORT_ROW = 2**13  # changes of all codes of a row: so many are gone through at any number of bits
RATIOS, REFINED = 100, 4  # clip ratios tried, and turns from the best of them
_MAX_SORTED = 2**22  # changes that are sorted at a time


def even_basis(values: Tensor, bits: int, *, signed: bool) -> Tensor:
    """[c, bits]: for values [c, n], the evenly spaced levels with the smallest squared error.

    Signed, that is the mid-rise grid s (k + ½), which uses all 2^bits levels; unsigned, s k from 0 on.
    It is the best there is (up to floating point) of up to 5 bits with a sign and 4 without, and of any in
    short rows; where codes change more often than that (`_is_small`), it is the best that 100 clip ratios
    lead to, which a finer search may beat.
    """
    return even_starts(values, bits, signed=signed)[0]


def even_starts(values: Tensor, bits: int, *, signed: bool) -> tuple[Tensor, Tensor]:
    """The best even levels, and the best of those that end at one of 100 clip ratios."""
    powers = torch.full((bits,), 2.0, device=values.device).pow(
        torch.arange(bits, device=values.device)
    )
    largest = values.abs().amax(1, keepdim=True).clamp_min(1e-12)
    sizes = (values.abs() if signed else values.clamp_min(0)) / largest
    best, clipped = _scanned_steps(sizes, bits, signed=signed)
    if _is_small(values, bits, signed=signed):
        best = _best_step(sizes, bits, signed=signed)
    unit = largest * powers * (0.5 if signed else 1.0)
    return best * unit, clipped * unit


def _changes(bits: int, *, signed: bool) -> int:
    """How often the code of a value changes while the step shrinks."""
    return int(2 ** (bits - 1) - 1 if signed else 2**bits - 1)


def _is_small(values: Tensor, bits: int, *, signed: bool) -> bool:
    changes = _changes(bits, signed=signed)
    return changes <= FEW_CHANGES or values.shape[1] * changes <= SHORT_ROW


def _best_step(sizes: Tensor, bits: int, *, signed: bool) -> Tensor:
    """[c, 1]: for sizes [c, n] in [0, 1], the step s of the even levels with the smallest squared error.

    With codes q fixed the best step is Σ v q / Σ q², which leaves Σ v² − (Σ v q)² / Σ q². While 1/s grows
    from 0 on, codes change one at a time, at places that are known: all of them are gone through.
    """
    changes = _changes(bits, signed=signed)
    of_a_row = max(1, sizes.shape[1] * changes)  # at 1 bit with signs there are none
    parts = sizes.split(max(1, _MAX_SORTED // of_a_row))
    return torch.cat([_best_of_all_codes(part, changes, signed=signed) for part in parts])


def _best_of_all_codes(sizes: Tensor, changes: int, *, signed: bool) -> Tensor:
    k = torch.arange(1, changes + 1, device=sizes.device)
    # From k − ½ to k + ½, or from k − 1 to k: where that happens, and what it adds to Σ q².
    places = (k if signed else k - 0.5) / sizes[..., None]
    added = (2 * k if signed else 2 * k - 1).double().expand(places.shape).flatten(1)
    order = places.flatten(1).argsort(1)
    products = sizes.double().gather(1, order // changes).cumsum(1)
    squares = added.gather(1, order).cumsum(1)
    if signed:  # all at ±½ before the first change
        product = 0.5 * sizes.double().sum(1, keepdim=True)
        square = torch.full_like(product, 0.25 * sizes.shape[1])
        products = torch.cat([product, product + products], 1)
        squares = torch.cat([square, square + squares], 1)
    return _step_of(products, squares)


def _scanned_steps(sizes: Tensor, bits: int, *, signed: bool) -> tuple[Tensor, Tensor]:
    """Of many clip ratios the best, also with the best step for its codes and so on by turns; that first."""
    top = 2 ** (bits - 1) - 0.5 if signed else 2**bits - 1
    tried = torch.arange(RATIOS, 0, -1, device=sizes.device) / (RATIOS * top)
    found = [_sums(sizes, step, top=top, signed=signed) for step in tried]
    products, squares = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    clipped = tried[(tried.square() * squares - 2 * tried * products).argmin(1)][:, None]
    step = _step_of(products, squares)
    for _ in range(REFINED):
        step = _step_of(*_sums(sizes, step, top=top, signed=signed))
    return step, clipped


def _sums(sizes: Tensor, step: Tensor, *, top: float, signed: bool) -> tuple[Tensor, Tensor]:
    """[c, 1] each: Σ v q and Σ q² for the nearest codes q of sizes [c, n]."""
    ratio = sizes / step
    codes = (ratio.floor() + 0.5 if signed else ratio.round()).clamp_max(top)
    return (
        (sizes * codes).sum(1, keepdim=True, dtype=torch.double),
        codes.square().sum(1, keepdim=True, dtype=torch.double),
    )


def _step_of(products: Tensor, squares: Tensor) -> Tensor:
    """[c, 1]: Σ v q / Σ q² of the codes, [c, codes], that leave the smallest error."""
    gains = products.square() / squares.clamp_min(1e-12)
    best = gains.argmax(1, keepdim=True)
    steps = products.gather(1, best) / squares.gather(1, best).clamp_min(1e-12)
    return steps.clamp_min(1e-12).float()
