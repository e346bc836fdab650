"""A worker's heart: its status, written every two seconds and at every change: readers see it live."""

import contextlib
import threading
from typing import Any

from engine.core.events import Event, StageStarted, Stepped
from engine.run.folders.folder import HEARTBEAT_S, RunFolder
from engine.run.machine.resources import ended_for_memory, memory_mb


class Pulse:
    """Writes the status of a folder's run, what it holds of the machine's memory included."""

    def __init__(self, folder: RunFolder, asked_s: float) -> None:
        self._folder = folder
        self._fields: dict[str, Any] = {"state": "queued"}
        self.asked_s: float | None = asked_s  # since when the run waits for its turn
        self.limit_mb: float | None = None  # how far the worker may grow
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def start(self) -> None:
        """Write the first status, and go on until `stop`."""
        self._fields |= {"ended_for_memory": ended_for_memory()}
        with contextlib.suppress(OSError):  # as in every beat
            self.set()
        self._thread.start()

    def set(self, **fields: Any) -> None:
        """Change some fields, and write at once."""
        with self._lock:
            self._fields |= fields | {"memory_mb": round(memory_mb(), 1), "asked_s": self.asked_s}
            if self.limit_mb is not None:
                self._fields |= {"memory_limit_mb": round(self.limit_mb, 1)}
            self._folder.write_status(**self._fields)

    def note(self, event: Event) -> None:
        """Remember progress for the next beat, without writing now."""
        if isinstance(event, StageStarted):
            self._fields |= {"stage": event.stage, "step": 0, "total_steps": event.total_steps}
        elif isinstance(event, Stepped):
            self._fields |= {"step": event.step}

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            try:
                self.set()
            except OSError:  # a full disk: the run itself will say so
                continue
