"""Learned bases: levels that are sums of a few floats, with signs or without them.

Zhang, Yang, Ye, Hua: "LQ-Nets: Learned Quantization for Highly Accurate and Compact Deep Neural
Networks", ECCV 2018, sections 3.2 and 3.3. With b floats v the levels of a weight are ±v₁ ±v₂ … ±v_b, so a
product of weight and activation stays a sum of bit operations. The basis is found by turns (QEM, the
paper's algorithm 1): the nearest level for every value, then the least-squares basis for those levels.
"""

import torch
from torch import Tensor

from engine.core.sampling.samples import sampled
from engine.quantization.grids.level_sets import WeightCodes, nearest_codes
from engine.quantization.grids.quantizers import FIT_IMAGES, ActivationQuantizer
from engine.quantization.grids.weights.basis_start import even_starts

TURNS = 100
SETTLED = 1e-6  # relative fall of the error at which the turns end
GROWTHS = (
    1.2,
    1.4,
    1.6,
    1.8,
)  # from one float of a basis to the next, at other starts than even ones
RIDGE = 1e-4  # towards the old basis, relative to the number of values: keeps unused signs in place
_MAX_FITTED = 2**16  # activations that a basis is fitted to


def signs(bits: int, *, signed: bool) -> Tensor:
    """[2^bits, bits]: every combination of −1 and 1 (or of 0 and 1)."""
    binary = (torch.arange(2**bits)[:, None] >> torch.arange(bits)) & 1
    return (2 * binary - 1 if signed else binary).float()


def basis_levels(basis: Tensor, *, signed: bool) -> tuple[Tensor, Tensor]:
    """For bases [c, bits]: levels [c, 2^bits], rising, and which combination of signs each one is."""
    levels = basis @ signs(basis.shape[1], signed=signed).to(basis).T
    return levels.sort(1)


def basis_error(values: Tensor, basis: Tensor, *, signed: bool) -> Tensor:
    """[c, 1]: the mean squared error of values [c, n] at the nearest levels of their basis."""
    levels, _ = basis_levels(basis, signed=signed)
    near = levels.gather(1, nearest_codes(values, levels))
    return (values - near).square().mean(1, keepdim=True)


def learn_basis(
    values: Tensor,
    bits: int,
    *,
    signed: bool,
    turns: int = TURNS,
    course: list[Tensor] | None = None,  # takes the bases before the first turn and after each
) -> Tensor:
    """[c, bits]: a basis for each row of values [c, n], by turns from several starts.

    No turn makes the error larger, so it is never above that of the even levels (`even.even_basis`), which
    no turns at all leave as they are. Where turns end depends on where they begin, so each row keeps the
    best end of several starts (`_starts`). On four layers of the bundled ResNet-20 that is, on average over
    channels, 0 to 3 % above the best of some 30 starts at 2 bits, 0 to 2 % at 3 and 4 to 14 % at 4; even
    starts alone ended 10 to 39 % above it at 3 bits and 22 to 78 % at 4. (The paper takes one turn in each
    step of training and averages; here there is no training, and the turns go on until the error settles.)
    """
    starts = (
        _starts(values, bits, signed=signed) if turns else even_starts(values, bits, signed=signed)
    )
    ends = [_turn(values, start, turns, signed=signed) for start in starts]
    errors = [basis_error(values, bases[-1], signed=signed) for bases in ends]
    best = torch.cat(errors, 1).argmin(1)  # the first of equals
    rows = torch.arange(len(values), device=values.device)
    # The one that settled first stays as it is meanwhile.
    for k in range(max(map(len, ends))):
        chosen = torch.stack([bases[min(k, len(bases) - 1)] for bases in ends])[best, rows]
        if course is not None:
            course.append(chosen)
    return chosen


def _starts(values: Tensor, bits: int, *, signed: bool) -> list[Tensor]:
    """The best even levels, the best of those at a clip ratio and, with signs, levels that crowd at 0.

    Those are bases whose floats grow by less than 2 from one to the next, as large as the values are. Without
    signs the even starts were never beaten by others.
    """
    starts = list(even_starts(values, bits, signed=signed))
    if signed:
        size = values.square().mean(1, keepdim=True).sqrt().clamp_min(1e-12)
        powers = torch.arange(bits, device=values.device)
        for growth in GROWTHS:
            shape = torch.tensor(growth, device=values.device).pow(powers)
            starts.append(
                size * shape / shape.norm()
            )  # the levels' mean square is the sum of squares
    return starts


def _turn(values: Tensor, basis: Tensor, turns: int, *, signed: bool) -> list[Tensor]:
    """The bases before the first turn and after each, until the error settles."""
    error = basis_error(values, basis, signed=signed)
    course = [basis]
    for _ in range(turns):
        fresh = _least_squares(values, basis, signed=signed)
        found = basis_error(values, fresh, signed=signed)
        better = found < error
        basis = torch.where(better, fresh, basis)
        fall = (error - found).clamp_min(0)
        error = torch.minimum(error, found)
        course.append(basis)
        if bool((fall <= SETTLED * error).all()):
            break
    return course


def _least_squares(values: Tensor, basis: Tensor, *, signed: bool) -> Tensor:
    """The basis nearest to the values, the signs of each being those of its nearest level."""
    levels, order = basis_levels(basis, signed=signed)
    combination = order.gather(1, nearest_codes(values, levels))
    chosen = signs(basis.shape[1], signed=signed).to(values)[combination]  # [c, n, bits]
    ridge = RIDGE * values.shape[1] * torch.eye(basis.shape[1], device=values.device)
    gram = chosen.mT @ chosen + ridge
    wanted = chosen.mT @ values[..., None] + ridge @ basis[..., None]
    found: Tensor = torch.linalg.solve(gram, wanted)
    return found.squeeze(-1)


class BasisWeightQuantizer(WeightCodes):
    """A basis of its own for each output channel; each weight at its nearest level."""

    basis: Tensor  # [channels, bits]

    def __init__(self, bits: int, *, turns: int = TURNS) -> None:
        super().__init__()
        self.bits, self.turns = bits, turns
        self.shown = 0  # the channel whose basis moved most, to be drawn
        self.course = torch.zeros(0, bits)  # [turns, bits]: its basis from the start on

    def fit(self, weight: Tensor) -> None:
        flat = weight.detach().flatten(1)
        course: list[Tensor] = []
        basis = learn_basis(flat, self.bits, signed=True, turns=self.turns, course=course)
        self.register_buffer("basis", basis)
        self.take(self.nearest(weight.detach()))
        moved = (course[-1] - course[0]).norm(dim=1) / course[0].norm(dim=1).clamp_min(1e-12)
        self.shown = int(moved.argmax())
        self.course = torch.stack([one[self.shown] for one in course]).cpu()

    def levels(self) -> Tensor:
        return basis_levels(self.basis, signed=True)[0]

    def side_bits(self) -> int:
        """A float32 for each bit of each channel."""
        return self.basis.numel() * 32

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "basis": self.basis}

    def restore(self, state: dict[str, Tensor]) -> None:
        for name in ("codes", "basis"):
            self.register_buffer(name, state[name])


class BasisActivationQuantizer(ActivationQuantizer):
    """One basis for a layer's whole input: without signs behind a ReLU, with them where x has both."""

    basis: Tensor  # [bits]

    def __init__(self, bits: int, *, turns: int = TURNS) -> None:
        super().__init__(bits)
        self.turns = turns
        self.signed = False

    def fit(self, x: Tensor) -> None:
        """Learn the basis from values all over the first images, 2^16 of them where there are many."""
        first = x[:FIT_IMAGES].detach().float()
        sample = sampled(first, _MAX_FITTED).view(1, -1)
        self.signed = bool(first.min() < 0)
        basis = learn_basis(sample, self.bits, signed=self.signed, turns=self.turns)
        self.register_buffer("basis", basis[0])
        self.fitted = True

    def levels(self) -> Tensor:
        return basis_levels(self.basis.view(1, -1), signed=self.signed)[0]

    def side_bits(self) -> int:
        """A float32 for each bit."""
        return 32 * self.bits

    def forward(self, x: Tensor) -> Tensor:
        if not self.fitted:
            self.fit(x)
        levels = self.levels()[0]
        middles = (levels[1:] + levels[:-1]) / 2
        if x.dim() != 4:
            return levels[torch.bucketize(x.contiguous(), middles, right=True)]
        pixels = x.permute(0, 2, 3, 1).contiguous()  # as it lies in memory: channels last
        return levels[torch.bucketize(pixels, middles, right=True)].permute(0, 3, 1, 2)

    def stored(self) -> dict[str, Tensor]:
        return {"basis": self.basis, "signed": torch.tensor(self.signed)}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.register_buffer("basis", state["basis"])
        self.signed = bool(state["signed"])
        self.fitted = True
