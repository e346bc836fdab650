"""Questions that take the engine a while, asked beside the page: it shows what is known, and looks again."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.core.errors import UserError

LOOK_AGAIN_S = 1.5
KEPT = 200  # answers in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known now: a value, a reason why there is none, or neither while it is looked for."""

    value: Any = None
    error: str = ""

    @property
    def is_pending(self) -> bool:
        return self.value is None and not self.error


@st.cache_resource(show_spinner=False)
def _asked(kind: str) -> tuple[ThreadPoolExecutor, dict[str, Future[Any]]]:
    # One at a time of a kind: each question is a process that takes every core it gets.
    return ThreadPoolExecutor(1, thread_name_prefix=kind), {}


def ask(kind: str, key: str, question: Callable[[], Any]) -> Answer:
    """The answer to a question by its kind and key; it is put once, and this returns at once."""
    pool, futures = _asked(kind)
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
    futures.pop(key, None)  # the next visit may ask again: a file may be there by then
    if isinstance(error, UserError):
        return Answer(error=str(error))
    return Answer(error=(str(error).strip().splitlines() or [type(error).__name__])[-1])
