"""Questions that take the engine a while, asked beside the page: it shows what is known, and looks again."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components import mount
from engine.core.errors import UserError

LOOK_AGAIN_S = 1.5
KEPT = 200  # answers in memory
TOLD_S = 20.0  # an error is told for so long before the question may be put again


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known now: a value, a reason why there is none, or neither while it is looked for."""

    value: Any = None
    error: str = ""

    @property
    def is_pending(self) -> bool:
        return self.value is None and not self.error


@st.cache_resource(show_spinner=False)
def _answering(kind: str) -> tuple[ThreadPoolExecutor, dict[str, Future[Any]], dict[str, float]]:
    """Who answers questions of a kind, those put, and when the errors among them were first told."""
    # One at a time of a kind: each question is a process that takes every core it gets.
    return ThreadPoolExecutor(1, thread_name_prefix=kind), {}, {}


def look_again(pending: bool, *, key: str = "pulse-answers") -> None:  # noqa: FBT001
    """Draw the page again in a moment, and again, while an answer of it is pending. Once a page and key."""
    with st.container():  # always there, so that what follows keeps its place on the page
        if pending:
            mount.pulse(key=key, live=True, every_s=LOOK_AGAIN_S)


def is_asked(kind: str, key: str) -> bool:
    """Whether the question has been put, by this page or another."""
    return key in _answering(kind)[1]


def ask(kind: str, key: str, question: Callable[[], Any]) -> Answer:
    """The answer to a question by its kind and key; it is put once, and this returns at once."""
    pool, futures, told = _answering(kind)
    if key not in futures:
        while len(futures) >= KEPT:
            futures.pop(next(iter(futures)))
        futures[key] = pool.submit(question)
    future = futures[key]
    if not future.done():
        return Answer()
    error = future.exception()
    if error is None:
        return Answer(value=future.result())
    # Whoever looks again must find it, not put the question anew; a later visit may: a file may be there.
    if time.monotonic() - told.setdefault(key, time.monotonic()) >= TOLD_S:
        futures.pop(key, None)
        told.pop(key, None)
    if isinstance(error, UserError):
        return Answer(error=str(error))
    return Answer(error=(str(error).strip().splitlines() or [type(error).__name__])[-1])
