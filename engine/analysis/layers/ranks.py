"""How alike two measures rank the layers."""

from collections.abc import Sequence

from scipy.stats import kendalltau, spearmanr

FEW = 3  # layers, below which ranks say nothing


def rank_correlations(a: Sequence[float], b: Sequence[float]) -> tuple[float, float] | None:
    """(Spearman's rho, Kendall's tau), each in [-1, 1], of the values a and b of the same layers.

    None for too few layers, or where one side is all alike.
    """
    if len(a) < FEW or len({*a}) < 2 or len({*b}) < 2:
        return None
    return float(spearmanr(a, b).statistic), float(kendalltau(a, b).statistic)
