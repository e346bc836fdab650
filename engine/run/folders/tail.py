"""A run's events as they come, for scripts and the command line: ends when the run does."""

import time
from collections.abc import Iterator

from engine.core.events import Event
from engine.run.folders.folder import ACTIVE, RunFolder

LOOK_EVERY_S = 0.1
LOST_FOR_S = 10.0  # a worker that only was slow to speak may still come back


def follow(folder: RunFolder, offset: int = 0) -> Iterator[Event]:
    """Yield every event from the byte offset on, waiting for more while a worker is at the run."""
    lost_since: float | None = None
    while True:
        # The state first: what the worker wrote before it ended is then surely read below.
        state = "done" if folder.result() else folder.status()["state"]
        for behind, event in folder.events(offset):
            offset = behind
            yield event
        if state == "lost":
            lost_since = lost_since or time.monotonic()
        elif state in ACTIVE:
            lost_since = None
        else:
            return
        if lost_since is not None and time.monotonic() - lost_since > LOST_FOR_S:
            return
        time.sleep(LOOK_EVERY_S)
