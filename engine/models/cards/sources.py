"""Networks that come with a library or with this project: where each name is looked up.

A saved network and a Python file are kinds of their own; `engine.models.zoo` knows all kinds.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.errors import UserError
from engine.core.outside.own_code import check_named
from engine.models.card import ModelCard
from engine.models.cards.from_timm import timm_card, timm_cards
from engine.models.cards.from_torchvision import torchvision_card, torchvision_cards


@dataclass(frozen=True, slots=True)
class Source:
    """Networks whose names begin with a prefix and a slash."""

    card: Callable[[str, Mapping[str, Any]], ModelCard]  # full name, settings of the recipe
    cards: Callable[[], Iterable[ModelCard]]  # those to be listed in menus


SOURCES: dict[str, Source] = {
    "torchvision": Source(torchvision_card, torchvision_cards),
    "timm": Source(timm_card, timm_cards),
}


def discover_cards() -> dict[str, ModelCard]:
    """Every bundled network's card by its name: one per file in engine/models/cards/bundled."""
    from engine.models.cards import bundled

    modules = (
        importlib.import_module(f"{bundled.__name__}.{m.name}")
        for m in pkgutil.iter_modules(bundled.__path__)
    )
    return {module.CARD.name: module.CARD for module in modules}


def listed_card(name: str, settings: Mapping[str, Any]) -> ModelCard:
    """The card of a bundled network or of `PREFIX/NAME`; UserError with the names there are."""
    form = str(settings.get("form", ""))
    source = SOURCES.get(name.partition("/")[0]) if "/" in name else None
    if source is not None:
        return source.card(name, settings)
    cards = discover_cards()
    if name not in cards:
        check_named(name)
        others = ", ".join(f"{prefix}/NAME" for prefix in SOURCES)
        raise UserError(
            f"network {name!r} is not known; choose one of {', '.join(cards)}, {others}, "
            "or FILE.py:FACTORY"
        )
    return cards[name].in_form(form)


def all_cards() -> dict[str, ModelCard]:
    """Every network that menus list, by its name: the bundled ones first."""
    cards = discover_cards()
    for source in SOURCES.values():
        cards |= {card.name: card for card in source.cards()}
    return cards
