"""The zoo: every network by its name, wherever it comes from. The whole engine gets its cards here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.core.own_code import check_named
from engine.models import saved
from engine.models.card import ModelCard, discover_cards
from engine.models.own import is_own, own_card
from engine.models.timm_cards import timm_card, timm_cards
from engine.models.torchvision_cards import torchvision_card, torchvision_cards


@dataclass(frozen=True, slots=True)
class Source:
    """Networks whose names begin with a prefix and a slash."""

    card: Callable[[str, Mapping[str, Any]], ModelCard]  # full name, settings of the recipe
    cards: Callable[[], Iterable[ModelCard]]  # those to be listed in menus


SOURCES: dict[str, Source] = {
    "torchvision": Source(torchvision_card, torchvision_cards),
    "timm": Source(timm_card, timm_cards),
}


def find_card(name: str, settings: Mapping[str, Any], networks: Path | None = None) -> ModelCard:
    """The card of a bundled network, of `PREFIX/NAME` or of FILE.py:FACTORY; UserError if there is none.

    `networks` is the folder of the networks that the user has saved, which are called `mine/NAME`.

    `settings` are the recipe's for the model: some sources need them to make a card (an own network's
    shape), others heed what the user allows (to download weights) or chooses (a form).
    """
    form = str(settings.get("form", ""))
    if is_own(name):
        return own_card(name, settings)
    if name.startswith(saved.PREFIX) and networks is not None:
        return saved.saved_card(name, networks).in_form(form)
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
