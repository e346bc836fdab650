"""A run's events so far, each read once for all pages, with the byte offset where its stream goes on."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from engine.run.folders.folder import RunFolder

Event = dict[str, Any]
_Place = tuple[str, str | None]  # a kind, and a stage or None for all
MOST_READ = 16  # runs whose events are kept: those looked at last


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The whole lines of an event file as dictionaries, in order."""

    events: list[Event]
    offset: int
    _found: dict[_Place, list[Event]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self._found:
            for event in self.events:
                _put(self._found, event)

    def of(self, kind: str, **fields: Any) -> Iterator[Event]:
        """The events of a kind whose fields have these values."""
        return (event for event in self._of(kind, fields) if _has(event, fields))

    def backwards(self, kind: str, **fields: Any) -> Iterator[Event]:
        """The same, the latest first."""
        return (event for event in reversed(self._of(kind, fields)) if _has(event, fields))

    def _of(self, kind: str, fields: dict[str, Any]) -> list[Event]:
        """Those among which they are; of a long run nearly all are steps of one stage."""
        stage = fields.pop("stage", None)
        return self._found.get((kind, stage), [])

    def last(self, kind: str, **fields: Any) -> Event | None:
        """The latest such event, or None."""
        return next(self.backwards(kind, **fields), None)

    @property
    def started(self) -> Event:
        """The latest run-started event; an empty one before the worker is up."""
        return self.last("run-started") or {"bn_layers": [], "blocks": [], "layers": []}

    def layers_measured(self) -> list[Event]:
        """One measurement a layer, the latest where a resumed run measured again."""
        latest = {event["path"]: event for event in self.of("layer-measured")}
        return list(latest.values())

    def frames(self) -> list[Event]:
        """The frames of the film in order of their steps, none twice."""
        frames: list[Event] = []
        for event in self.of("snapshot-saved", name="images"):
            while frames and frames[-1]["step"] >= event["step"]:
                frames.pop()  # a resumed run tells a second time what it had told before
            frames.append(event)
        return frames


def _put(found: dict[_Place, list[Event]], event: Event) -> None:
    """Under its kind, and under its kind and stage."""
    kind, stage = event["kind"], event.get("stage")
    found.setdefault((kind, None), []).append(event)
    if isinstance(stage, str):
        found.setdefault((kind, stage), []).append(event)


def _has(event: Event, fields: dict[str, Any]) -> bool:
    return not fields or fields.items() <= event.items()


def read_history(folder: RunFolder) -> History:
    """The history of a run; torn lines are left out.

    A page is drawn again and again while a run is at work: what was read before is kept, and only the
    lines behind it are read.
    """
    return _reader(str(folder.path)).read(folder)


@st.cache_resource(max_entries=MOST_READ, show_spinner=False)
def _reader(path: str) -> "_Reader":  # noqa: ARG001  (what it is kept by)
    return _Reader()


class _Reader:
    """The events of one file as far as they were read; from the beginning where it is another file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # pages of several visitors read the same run
        self._begin()

    def _begin(self) -> None:
        self._events: list[Event] = []
        self._found: dict[_Place, list[Event]] = {}
        self._offset, self._last = 0, b""
        self._history: History | None = None

    def read(self, folder: RunFolder) -> History:
        with self._lock:
            if not self._goes_on(folder):
                self._begin()
            for behind, line in folder.lines(self._offset):
                self._offset, self._last = behind, line
                event = _event(line)
                if event is not None:
                    self._keep(event)
            if self._history is None or self._history.offset != self._offset:
                found = {place: [*events] for place, events in self._found.items()}
                self._history = History(events=[*self._events], offset=self._offset, _found=found)
            return self._history

    def _keep(self, event: Event) -> None:
        self._events.append(event)
        _put(self._found, event)

    def _goes_on(self, folder: RunFolder) -> bool:
        """Whether the file still has the last line read, where it was: then it was only added to."""
        before = self._offset - len(self._last) - 1
        return not self._offset or next(folder.lines(before), None) == (self._offset, self._last)


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None
