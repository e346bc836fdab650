"""One width for every layer, to hold chosen bits against: what the same budget buys without measuring."""

from typing import Any

from engine.core.percent import percent


def rival(report: dict[str, Any]) -> dict[str, Any] | None:
    """The dearest uniform width within an allocation's budget, else the cheapest; None where there is none.

    A share of the budget other than 1 buys another width than the one asked for, and a width that costs
    more than may be spent says nothing about how well it was spent.
    """
    uniform: list[dict[str, Any]] = report["uniform"]
    if not uniform:
        return None
    within = [one for one in uniform if one["cost"] <= report["budget"]]
    if within:
        return max(within, key=lambda one: (one["cost"], one["weight_bits"]))
    return min(uniform, key=lambda one: one["cost"])


def fits(report: dict[str, Any], one: dict[str, Any]) -> bool:
    """Whether the budget would buy it."""
    return bool(one["cost"] <= report["budget"])


def cost_words(report: dict[str, Any], one: dict[str, Any]) -> str:
    """What it costs, as a share of the budget; nothing where it costs just that."""
    if one["cost"] == report["budget"]:
        return ""
    return f", which cost {percent(one['cost'] / (report['budget'] or 1))} of the budget"
