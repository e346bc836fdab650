"""A word on a step of the user's own code that does not come back. Nothing is ended: only they can tell."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar

SLOW_S = 20.0  # most networks are built, and run on two images, in less than one
Tell = Callable[[str], object]
# Of each thread its own: what one visitor's question waits for is no other's business.
_LISTENER: ContextVar[Tell | None] = ContextVar("listener", default=None)


def on_stderr(words: str) -> None:
    """Write the words as a line of their own on standard error."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        sys.stderr.write(f"note: {words}\n")
        sys.stderr.flush()


@contextlib.contextmanager
def reported(tell: Tell) -> Iterator[None]:
    """Inside, `tell` hears of steps that are slow; outside of any such, nobody does."""
    before = _LISTENER.set(tell)
    try:
        yield
    finally:
        _LISTENER.reset(before)


@contextlib.contextmanager
def said_when_slow(step: str, way_out: str) -> Iterator[None]:
    """Inside, a word is said after a while: which step it is, and what to do where it never ends."""
    tell = _LISTENER.get()
    if tell is None:
        yield
        return
    words = f"{step} has not come back for {SLOW_S:g} s; if it never ends, stop this (Ctrl-C) and {way_out}."
    timer = threading.Timer(SLOW_S, tell, [words])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
