"""What is wrong with a finished run, and what to change: one file a rule, in `rules/`.

A rule reads a plain record of the run (`record.py`) and gives findings (`finding.py`); `ranking.py` orders
them once it has been tried out what each would gain.
"""

import importlib
import pkgutil
from collections.abc import Iterator

from engine.analysis.doctor.rule import Rule


def discover_rules() -> dict[str, Rule]:
    """Every rule by its name, the most specific first; TypeError where two have one name."""
    from engine.analysis.doctor import rules

    found: dict[str, Rule] = {}
    for info in pkgutil.walk_packages(rules.__path__, f"{rules.__name__}."):
        for rule in _rules_in(info.name):
            if rule.name in found:
                raise TypeError(
                    f"two rules are called {rule.name!r}: {found[rule.name]} and {rule}"
                )
            found[rule.name] = rule
    return dict(sorted(found.items(), key=lambda one: (one[1].order, one[0])))


def _rules_in(module: str) -> Iterator[Rule]:
    for cls in vars(importlib.import_module(module)).values():
        if isinstance(cls, type) and issubclass(cls, Rule) and cls.__module__ == module:
            yield cls()
