"""A run's events as they come, for scripts: ends when the run does."""

import time
from collections.abc import Iterator

from engine.core.events import Event
from engine.run.folder import ACTIVE, RunFolder

_LOOK_EVERY_S = 0.1


def follow(folder: RunFolder, offset: int = 0) -> Iterator[Event]:
    """Yield every event from the byte offset on, waiting for more while a worker is at the run."""
    while True:
        at_work = (
            folder.status()["state"] in ACTIVE
        )  # asked first: what was written before is then read
        for behind, event in folder.events(offset):
            offset = behind
            yield event
        if not at_work:
            return
        time.sleep(_LOOK_EVERY_S)
