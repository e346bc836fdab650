"""A layer's weights as codes into the network's one codebook."""

import torch
from torch import Tensor, nn

from engine.quantization.grids.level_sets import CodedPart, WeightCodes, nearest_codes
from engine.quantization.grids.weights.codebook.fixing import Cloud, Codebook, Reach, fix_all
from engine.quantization.grids.weights.codebook.powers import prior_sigma

VALUE_BITS = (
    32 + 8
)  # of a value of the codebook: a float32, and the fewest bits whose layers use it
READER_BITS = 8  # of a layer that keeps no codebook: how many bits its codes have


class FixedWeightCodes(WeightCodes):
    """Codes into a codebook that other layers share; while it is learned, a mean and a spread a weight.

    Until a learner has fixed the weights with those of all layers, the codebook is the layer's own, made at
    once by how near powers of two are. It is made when it is first asked for: never where a student is put
    back from a file.
    """

    keeps_book: Tensor  # bool
    book: Tensor  # [2^bits] values, rising; infinite behind the last one

    def __init__(self, bits: int, *, reach: Reach) -> None:
        super().__init__()
        self.bits, self.reach = bits, reach
        self.learning = False
        self.sigma: nn.Parameter | None = None
        self.noise: Tensor | None = None
        self.register_buffer("keeps_book", torch.tensor(True))
        self._due: Tensor | None = None

    def fit(self, weight: Tensor) -> None:
        self._due = weight.detach()

    @torch.no_grad()
    def _alone(self) -> None:
        """Do what is due: a codebook for this layer alone."""
        if self._due is None:
            return
        weight, self._due = self._due, None
        flat, book = weight.flatten().clone(), Codebook()
        cloud = Cloud(
            bits=self.bits, means=flat, sigmas=prior_sigma(weight).flatten(),
            fixed=torch.zeros_like(flat, dtype=torch.bool), counts=torch.ones_like(flat),
        )  # fmt: skip
        fix_all([cloud], 1.0, book, self.reach)
        self.settle(cloud.means.view(weight.shape), book.of(self.bits), keeps_book=True)

    def learn(self, sigma: Tensor) -> None:
        """From now on the values are `weight + sigma * noise`, for as long as there is noise."""
        self._due, self.learning = None, True
        self.sigma = nn.Parameter(sigma)

    def settle(self, values: Tensor, book: Tensor, *, keeps_book: bool) -> None:
        """End learning: these values, each of which is in the codebook `book` (rising).

        Where all are one value, a second one is put beside it: what reads levels expects a step.
        """
        if len(book) < 2:
            book = torch.cat([book, book + 2.0**-self.reach.finest])
        padded = values.new_full((2**self.bits,), torch.inf)
        padded[: len(book)] = book.to(padded)
        self._due, self.learning, self.sigma, self.noise = None, False, None, None
        self.register_buffer("book", padded)
        self.register_buffer("keeps_book", torch.tensor(keeps_book))
        self.take(nearest_codes(values.detach(), padded[: len(book)]))

    def forward(self, weight: Tensor) -> Tensor:
        if not self.learning:
            self._alone()
            return super().forward(weight)
        if self.noise is None or self.sigma is None:
            return weight
        return weight + self.sigma * self.noise

    def values(self) -> Tensor:
        """The codebook [L], rising."""
        self._alone()
        return self.book[self.book.isfinite()]

    def levels(self) -> Tensor:
        values = self.values()
        return values.repeat(len(self.codes), 1)

    def parts(self, weight: Tensor) -> tuple[CodedPart, ...]:
        self._alone()
        return super().parts(weight)

    def count(self) -> int:
        self._alone()
        return super().count()

    def flipped(self, weight: Tensor) -> float:
        self._alone()
        return super().flipped(weight)

    @property
    def code_bits(self) -> int:
        """As many as the values need."""
        return max(1, (len(self.values()) - 1).bit_length())

    def side_bits(self) -> int:
        """The codebook, with the one layer that keeps it for all."""
        return VALUE_BITS * len(self.values()) if bool(self.keeps_book) else READER_BITS

    def stored(self) -> dict[str, Tensor]:
        self._alone()
        return {"codes": self.codes, "book": self.book, "keeps_book": self.keeps_book}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._due, self.learning = None, False
        for name in ("codes", "book", "keeps_book"):
            self.register_buffer(name, state[name])
