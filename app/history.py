"""A run's events so far, read once for a page, with the byte offset where its stream goes on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.run.folders.folder import RunFolder

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The whole lines of an event file as dictionaries, in order."""

    events: list[Event]
    offset: int

    def of(self, kind: str, **fields: Any) -> Iterator[Event]:
        """The events of a kind whose fields have these values."""
        for event in self.events:
            if event["kind"] == kind and all(event.get(k) == v for k, v in fields.items()):
                yield event

    def last(self, kind: str, **fields: Any) -> Event | None:
        """The latest such event, or None."""
        return next((event for event in reversed(list(self.of(kind, **fields)))), None)

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


def read_history(folder: RunFolder) -> History:
    """The history of a run; torn lines are left out."""
    events, offset = [], 0
    for behind, line in folder.lines():
        offset = behind
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "kind" in event:
            events.append(event)
    return History(events=events, offset=offset)
