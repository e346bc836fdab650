"""Level sets: the values that a channel may take, whatever rule they were made by.

Codes are whole numbers, levels are the values that they stand for, in rising order: `levels[c, k]` is
the value of code k in channel c. So rounding, measuring and drawing need not know whether the levels
are an even grid or a learned basis.

A weight may also be put together from several parts, a sum or a product, each of codes of its own: then a
channel takes more values than any part has levels, and there is no one code of a weight.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedPart:
    """Something that is stored as codes: [channels, n] values, whatever a channel of the part is."""

    name: str  # empty where the weight is all in one part
    values: Tensor  # float, what the codes stand for
    codes: Tensor  # uint8
    levels: Tensor  # [channels, levels], rising along the second dimension

    def quantized(self) -> Tensor:
        """The values of the codes, [channels, n]."""
        return level_values(self.codes, self.levels)


class StoredWeight(nn.Module, ABC):
    """What every weight quantizer gives beyond quantized values: its parts, and what they cost."""

    bits: int

    @abstractmethod
    def fit(self, weight: Tensor) -> None:
        """Choose the levels of each part for this weight, and round to them."""

    @abstractmethod
    def parts(self, weight: Tensor) -> tuple[CodedPart, ...]:
        """All that is stored as codes, for the float weight that was fitted; the first says most of it."""

    def single(self) -> "WeightCodes | None":
        """The codes of the weights themselves, where each has one; None where it is made of several."""
        return None

    @abstractmethod
    def count(self) -> int:
        """How many codes are stored."""

    @property
    def code_bits(self) -> int:
        """Bits of one code as it is stored, all alike: enough for every level."""
        return self.bits

    @abstractmethod
    def side_bits(self) -> int:
        """Bits stored beside the codes: scales, zero points, bases."""

    @abstractmethod
    def stored(self) -> dict[str, Tensor]:
        """All that the quantizer consists of, by name; `restore` takes it."""

    @abstractmethod
    def restore(self, state: dict[str, Tensor]) -> None:
        """Be the quantizer that was stored."""

    @abstractmethod
    def flipped(self, weight: Tensor) -> float:
        """The share of codes that differ from nearest rounding, in [0, 1]."""


class WeightCodes(StoredWeight):
    """One code for each weight, and levels for each channel (dimension 0)."""

    codes: Tensor  # uint8, as stored, in the shape of the weight

    @abstractmethod
    def levels(self) -> Tensor:
        """[channels, levels] values, rising along the second dimension."""

    def parts(self, weight: Tensor) -> tuple[CodedPart, ...]:
        values, codes = weight.detach().flatten(1), self.codes.flatten(1)
        return (CodedPart(name="", values=values, codes=codes, levels=self.levels()),)

    def single(self) -> "WeightCodes | None":
        return self

    def count(self) -> int:
        return self.codes.numel()

    def nearest(self, weight: Tensor) -> Tensor:
        """The codes of the nearest levels, whole numbers in float."""
        return nearest_codes(weight.flatten(1), self.levels()).view(weight.shape).to(weight.dtype)

    def take(self, codes: Tensor) -> None:
        """Hold these codes from now on."""
        self.register_buffer("codes", codes.to(torch.uint8))

    def forward(self, weight: Tensor) -> Tensor:
        return level_values(self.codes.flatten(1), self.levels()).view(self.codes.shape)

    def flipped(self, weight: Tensor) -> float:
        """The share of codes that differ from nearest rounding, in [0, 1]."""
        return float((self.codes != self.nearest(weight)).float().mean())


def nearest_codes(values: Tensor, levels: Tensor) -> Tensor:
    """For values [..., n] and levels [..., L]: the code of the level nearest to each; ties go up."""
    middles = (levels[..., 1:] + levels[..., :-1]) / 2
    return torch.searchsorted(middles.contiguous(), values.contiguous(), right=True)


def level_values(codes: Tensor, levels: Tensor) -> Tensor:
    """For codes [..., n] and levels [..., L]: the level that each stands for."""
    return levels.gather(-1, codes.long())
