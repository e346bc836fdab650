"""The zoo: every network by its name, wherever it comes from. The whole engine gets its cards here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.models.card import ModelCard
from engine.models.cards import saved
from engine.models.cards.from_python_file import is_own, own_card
from engine.models.cards.sources import listed_card


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
    return listed_card(name, settings)
