"""What a format is: a way to write a finished run, or the network that it ended with, into files."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from engine.export.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatCard:
    """A format for menus."""

    name: str  # as its file, with hyphens: of the option, and of `kind` in what is told
    title: str
    use: str  # what it is for, in a sentence
    quantizer: str = ""  # whose codes alone it holds; empty: any
    needs_network: bool = True  # False: the run's folder is enough, and no torch is imported


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished run, as a format sees it."""

    run: str
    folder: Path
    recipe: Mapping[str, Any]
    result: Mapping[str, Any]
    sections: tuple[str, ...] = ()  # of a report; empty: all
    answers: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # by question, where asked
    network: Callable[[], Network]  # loads it; UserError where the run has kept none


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that was written, and what a reader must know of it, in sentences."""

    kind: str  # the format's name
    path: Path
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  # plain data: sizes, types by layer

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How large files will be: between so many bytes, and what those do not count, in words."""

    least: int = 0
    most: int
    besides: str = ""


class Format(ABC):
    """Writes files into a folder that is there; UserError, in one line, for what it cannot say."""

    card: ClassVar[FormatCard]

    @abstractmethod
    def write(self, run: Finished, out: Path) -> list[Written]:
        """The files, named after the run; those of an earlier time are replaced."""

    def expected(self, run: Finished) -> Expected | None:
        """How large the files will be, as far as the run's folder tells; None: it does not."""
        return None
