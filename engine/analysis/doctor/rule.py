"""What a rule is: a name, where it comes from, and a pure function of a run's record."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from engine.analysis.doctor.finding import Finding
from engine.analysis.doctor.record import Layer, RunRecord
from engine.analysis.layers.bit_tables import CLIFF_DB

MUCH_DB = 6.0  # of a layer, from which a gain counts as large: half of its error (our own line)
SOME_DB = 2.0


class Rule(ABC):
    """One cause that can be told from a record. A new rule is a new file in `rules/`."""

    name: ClassVar[str]  # lower-case with hyphens: what `--try` names
    title: ClassVar[str]
    source: ClassVar[str]  # the paper, or what was measured
    order: ClassVar[int] = 50  # of two findings that gain the same, the lower one is the cause

    @abstractmethod
    def look(self, record: RunRecord) -> Iterator[Finding]:
        """What is found, without the rule's own words: see `find`."""

    def find(self, record: RunRecord) -> list[Finding]:
        """The findings of this rule in the record."""
        return [
            replace(one, rule=self.name, title=self.title, source=self.source)
            for one in self.look(record)
        ]


def severity_of(layer: Layer, gain_db: float | None) -> str:
    """How bad it is by what the layer alone would gain; red only where the layer is past its cliff."""
    if gain_db is None:
        return "yellow"
    if gain_db >= MUCH_DB and (layer.sqnr_db or 0.0) < CLIFF_DB:
        return "red"
    return "yellow" if gain_db >= SOME_DB else "note"
