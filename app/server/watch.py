"""Who watches a run's folder: one task a run, however many viewers, woken by what grows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.run_files.run_folders import state_of
from engine.run.folders.folder import RunFolder

LOOK_EVERY_S = 0.05
STATE_EVERY = 5  # looks at the size for one look at the state, which costs three more system calls


class Watch:
    """The size of a run's event file and its state, as last seen; `changed` wakes the viewers."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.viewers = 0
        self.size = _size(folder)
        self.state = state_of(folder)
        self.changed = asyncio.Event()
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            looks += 1
            size = _size(self.folder)
            grown = size != self.size
            state = state_of(self.folder) if grown or looks % STATE_EVERY == 0 else self.state
            if grown or state != self.state:
                self.size, self.state = size, state
                self.wake()

    def wake(self) -> None:
        """Wake every viewer that waits now; the next wait is for the next change."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


class Watches:
    """The watches of a server, made with the first viewer of a run and ended with the last."""

    def __init__(self) -> None:
        self._by_path: dict[str, Watch] = {}
        self.closing = False

    @asynccontextmanager
    async def of(self, folder: RunFolder) -> AsyncIterator[Watch]:
        """The run's watch for as long as one viewer needs it."""
        key = str(folder.path)
        watch = self._by_path.get(key) or self._by_path.setdefault(key, Watch(folder))
        watch.viewers += 1
        try:
            yield watch
        finally:
            watch.viewers -= 1
            if not watch.viewers:
                self._by_path.pop(key, None)
                await watch.stop()

    def close(self) -> None:
        """Let every stream end, so that the server can."""
        self.closing = True
        for watch in self._by_path.values():
            watch.wake()


def _size(folder: RunFolder) -> int:
    try:
        return folder.events_file.stat().st_size
    except OSError:
        return 0
