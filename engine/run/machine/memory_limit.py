"""The memory that a worker may take: it ends itself with words before the machine suffers. No torch."""

import contextlib
import math
import threading
from collections.abc import Callable
from pathlib import Path

from engine.run.machine.resources import free_memory_mb, machine_memory_mb, memory_mb

ALMOST = 0.9  # of what is free: beyond, the machine begins to swap
# An estimate is passed by so much before a run is ended for it: where the machine has plenty, by more.
HEADROOM, LEAST_MB, SHARE = 1.5, 1000.0, 0.5
SPARE_MB = 96.0  # less than that is nothing on any machine: whoever grows now brings it down
SLACK_MB = 512.0  # reserved by the allocator, not used
LOOK_EVERY_S = 0.1
WAY_OUT = (
    "Use a smaller batch (synthesis.batch, quantization.batch) or fewer images, or free some memory and "
    "resume; what is finished stays."
)


class Room:
    """How far a worker may grow, in MB: by what was free when it began, and what it was expected to need."""

    def __init__(self, *, walled: bool = False) -> None:
        self.walled = walled  # whether the system may hold this process to the limit too
        self.free_mb = self.limit_mb = math.inf
        self.expected_mb: float | None = None
        self._ended = threading.Event()

    def enter(self) -> None:
        """Take as much as is free now, and almost all of it at most."""
        self.free_mb = free_memory_mb()
        self.limit_mb = memory_mb() + ALMOST * self.free_mb

    def expect(self, needed_mb: float) -> None:
        """Hold the run to its estimate, with headroom: what grows further is not what was looked at."""
        self.expected_mb = needed_mb
        spare = max(LEAST_MB, SHARE * self.free_mb)
        self.limit_mb = min(self.limit_mb, max(HEADROOM * needed_mb, needed_mb + spare))
        if self.walled:
            self._wall()

    def watch(self, on_excess: Callable[[str], object]) -> None:
        """Look ten times a second until `close`; tell once what is wrong, from a thread of its own."""
        threading.Thread(target=self._look, args=(on_excess,), daemon=True).start()

    def close(self) -> None:
        self._ended.set()

    def _wall(self) -> None:
        """Let the system refuse what lies beyond: a large tensor then fails before it is filled."""
        with contextlib.suppress(ImportError, OSError, ValueError, LookupError):
            import resource

            lines = Path("/proc/self/status").read_text().splitlines()
            data_kb = int(next(line.split()[1] for line in lines if line.startswith("VmData:")))
            most = data_kb * 1024 + int((self.limit_mb - memory_mb() + SLACK_MB) * 1e6)
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            if hard == resource.RLIM_INFINITY or most < hard:
                resource.setrlimit(resource.RLIMIT_DATA, (most, hard))

    def words(self, held_mb: float | None = None) -> str:
        """What to say of a run that wants more than it may have."""
        held = memory_mb() if held_mb is None else held_mb
        why = (
            f"it was expected to need {_gb(self.expected_mb)}"
            if self.expected_mb is not None
            else f"{_gb(self.free_mb)} were free when it began"
        )
        return (
            f"the run needs more memory than it may have: it had grown to {_gb(held)} of "
            f"{_gb(self.limit_mb)} ({why})"
        )

    def _look(self, on_excess: Callable[[str], object]) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            held, left = memory_mb(), machine_memory_mb()
            if held > self.limit_mb:
                on_excess(self.words(held))
                return
            if left < SPARE_MB:
                on_excess(
                    f"the machine has no memory left ({left:.0f} MB): the run held {_gb(held)}, and made way"
                )
                return


def _gb(mb: float) -> str:
    return f"{mb / 1000:.2f} GB"
