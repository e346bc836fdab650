"""What lives as long as the app is not looked through for garbage each time that a page is drawn."""

import gc
from collections.abc import Iterator
from typing import ClassVar

import pytest

from app.server.heap import keep_out


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    keep_out.clear()
    yield
    keep_out.clear()
    gc.unfreeze()


def test_what_lives_is_left_out_until_more_is_loaded() -> None:
    keep_out(1)
    kept = gc.get_freeze_count()
    assert kept > 10_000
    more: list[list[int]] = [[] for _ in range(5000)]
    keep_out(1)
    assert gc.get_freeze_count() <= kept
    keep_out(2)
    assert gc.get_freeze_count() >= kept + len(more) - 1000


class Ring:
    """Garbage that only a search finds."""

    lost: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        self.lost.append("found")


def test_garbage_among_it_is_found_the_next_time() -> None:
    ring = Ring()
    keep_out(1)
    del ring
    gc.collect()
    assert Ring.lost == []
    keep_out(2)
    assert Ring.lost == ["found"]
