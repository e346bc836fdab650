"""Shared weights: a layer's weights take few values, whatever those are, held in one table a layer.

Han, Mao, Dally: "Deep Compression", ICLR 2016, arXiv:1510.00149, section 3 (k-means over a layer's weights,
from starts spread evenly); Marinò et al.: "Compression strategies and space-conscious representations for
deep neural networks", ICPR 2020 (probabilistic sharing: quantiles, each weight to the one below or above it
by chance, without bias).
"""

import torch
from torch import Tensor, nn

from engine.core.sampling.randomness import stream
from engine.quantization.grids.level_sets import WeightCodes, nearest_codes

SHARINGS = ("k-means", "quantiles", "probabilistic")
SPARED_BITS = 8  # layers of so many bits are not pruned: they are first and last, and few
TURNS = 100  # of k-means, at most


def k_means(values: Tensor, count: int, turns: int = TURNS) -> Tensor:
    """At most so many centroids of values [n], rising: each is the mean of the values that are nearest to it.

    It begins with even steps from the least to the largest, and no turn makes the squared error larger.
    Centroids that nothing is nearest to stay where they are.
    """
    centroids = torch.linspace(
        float(values.min()), float(values.max()), count, device=values.device
    )
    for _ in range(turns):
        code = nearest_codes(values, centroids)
        held = torch.bincount(code, minlength=count)
        sums = torch.zeros(count, device=values.device).index_add_(0, code, values.float())
        found = torch.where(held > 0, sums / held.clamp_min(1), centroids)
        if torch.equal(found, centroids):
            break
        centroids = found
    return centroids.sort().values


def quantiles(values: Tensor, count: int) -> Tensor:
    """So many values [count], rising, from the least to the largest, with as many values between any two."""
    ordered = values.float().sort().values
    at = torch.linspace(0, len(ordered) - 1, count, device=values.device).round().long()
    return ordered[at]


def by_chance(values: Tensor, table: Tensor, rng: torch.Generator) -> Tensor:
    """Codes of the value below or above in the table, so that each weight is met on average."""
    above = torch.searchsorted(table, values.contiguous()).clamp(1, len(table) - 1)
    low, high = table[above - 1], table[above]
    share = (values - low) / (high - low).clamp_min(1e-12)
    drawn = torch.rand(values.shape, generator=rng).to(values.device)
    return above - 1 + (drawn < share).long()


class SharedWeightCodes(WeightCodes):
    """One table for a layer; where weights are pruned, one of its values is 0 and stays it."""

    table: Tensor  # [values], rising; while it is learned, a parameter in any order
    pruned: Tensor  # bool [values]: which of them is the 0 of pruned weights

    def __init__(self, bits: int, *, sharing: str = "k-means", prune: float = 0.0) -> None:
        super().__init__()
        self.bits, self.sharing = bits, sharing
        self.prune = prune if bits < SPARED_BITS else 0.0

    @torch.no_grad()
    def fit(self, weight: Tensor) -> None:
        """Prune the smallest share, and let the others share a table; its values are what is stored."""
        flat = weight.detach().flatten()
        kept = self._kept(flat)
        values, count = flat[kept], 2**self.bits - int(not bool(kept.all()))
        table = (k_means if self.sharing == "k-means" else quantiles)(values, count)
        if self.sharing == "probabilistic":
            # The same draw whatever the run's seed: a grid is fitted the same wherever it is asked for.
            code = by_chance(values, table, stream(0, "sharing", len(flat)))
        else:
            code = nearest_codes(values, table)
        zeros = torch.zeros(len(table), dtype=torch.bool, device=flat.device)
        codes = torch.zeros(len(flat), dtype=torch.long, device=flat.device)
        codes[kept] = code
        if not bool(kept.all()):
            codes[~kept] = len(table)
            table = torch.cat([table, table.new_zeros(1)])
            zeros = torch.cat([zeros, zeros.new_ones(1)])
        self._hold(table, zeros, codes.view(weight.shape))

    def _kept(self, flat: Tensor) -> Tensor:
        """Which weights are not pruned: all but the smallest share, of which each is."""
        count = round(self.prune * len(flat))
        kept = torch.ones(len(flat), dtype=torch.bool, device=flat.device)
        kept[flat.abs().sort(stable=True).indices[:count]] = False
        return kept

    def _hold(self, table: Tensor, zeros: Tensor, codes: Tensor) -> None:
        """Take this table in rising order, with the codes that go along."""
        order = table.argsort(stable=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        self._parameters.pop("table", None)
        self.register_buffer("table", table.detach()[order].float().clone())
        self.register_buffer("pruned", zeros[order].clone())
        self.take(place[codes])

    def learn(self) -> nn.Parameter:
        """From now on the table's values are learned; a pruned weight stays 0."""
        table = nn.Parameter(self._buffers.pop("table").clone())  # type: ignore[union-attr]
        self.register_parameter("table", table)
        return table

    def settle(self) -> None:
        """End learning."""
        self._hold(self._worth(), self.pruned, self.codes.long())

    def _worth(self) -> Tensor:
        return torch.where(self.pruned, torch.zeros_like(self.table), self.table)

    def forward(self, weight: Tensor) -> Tensor:
        """The slope of a value of the table is the sum of the slopes of all weights that share it."""
        return self._worth()[self.codes.long()]

    def levels(self) -> Tensor:
        return self.table.detach().repeat(len(self.codes), 1)

    def side_bits(self) -> int:
        """A float32 for each value of the table."""
        return 32 * len(self.table)

    def stored(self) -> dict[str, Tensor]:
        return {"codes": self.codes, "table": self.table.detach(), "pruned": self.pruned}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._parameters.pop("table", None)
        for name in ("codes", "table", "pruned"):
            self.register_buffer(name, state[name])
