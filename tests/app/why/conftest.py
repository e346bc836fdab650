"""Finished runs that can be asked why, and answers as the engine gives them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.engine_calls import background
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers
from tests.app.fabricate import Fabricated, fabricate

Keep = Callable[[str, dict[str, Any]], None]


def student_kept(folder: RunFolder) -> RunFolder:
    """Files as a worker leaves them of a student and its images."""
    (folder.path / "blocks").mkdir()
    for name in ("blocks/conv1.safetensors", "images-0.safetensors"):
        (folder.path / name).write_bytes(b"")
    return folder


@pytest.fixture(autouse=True)
def _nothing_was_asked() -> None:
    """What pages of other tests asked is forgotten: their networks have other layers by the same name."""
    background._answering.clear()


@pytest.fixture
def folder(runs: Path) -> RunFolder:
    return student_kept(fabricate(runs, Fabricated()))


@pytest.fixture
def keep(folder: RunFolder) -> Keep:
    """Keep an answer as if it had been found."""

    def kept(command: str, found: dict[str, Any]) -> None:
        answers.answer(folder, command, lambda: found)

    return kept
