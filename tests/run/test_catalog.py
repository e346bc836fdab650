"""The catalog is collected once: beside the runs it is found again, and in the environment's own place."""

import json
import sys
from pathlib import Path

import pytest

from engine.run import catalog


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """How often the engine was asked; this process is of an empty environment beside an engine."""
    words: list[tuple[str, ...]] = []

    def answer(*more: str) -> dict[str, object]:
        words.append(more)
        return {"models": [], "synthesis": [], "quantization": [], "named": []}

    (tmp_path / "venv").mkdir()
    monkeypatch.setattr(catalog, "answer_of", answer)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(catalog, "_ENGINE", tmp_path / "engine")
    return words


def test_a_second_folder_of_runs_takes_what_the_environment_keeps(
    asked: list[tuple[str, ...]], tmp_path: Path
) -> None:
    for name in ("runs", "runs", "other"):
        catalog.load(tmp_path / name)
    assert len(asked) == 1
    assert catalog.last_known(tmp_path / "other")["fingerprint"] == catalog.fingerprint()


def test_what_was_installed_is_ready_before_the_first_page(
    asked: list[tuple[str, ...]], tmp_path: Path
) -> None:
    catalog.install()
    catalog.install()
    assert len(asked) == 1
    catalog.load(tmp_path / "runs")
    assert len(asked) == 1


@pytest.mark.parametrize("kept", [b"", b"[]", b'{"fingerprint": "of another engine"}'])
def test_what_is_torn_or_of_another_engine_is_collected_anew(
    asked: list[tuple[str, ...]], tmp_path: Path, kept: bytes
) -> None:
    for place in (tmp_path / "runs" / catalog.CACHE, tmp_path / "venv" / catalog.INSTALLED):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(kept)
    catalog.load(tmp_path / "runs")
    assert len(asked) == 1
    assert json.loads((tmp_path / "venv" / catalog.INSTALLED).read_text())["models"] == []


def test_an_environment_of_others_is_not_written_into(
    asked: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr" / "local").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "usr" / "local"))
    for name in ("runs", "other"):
        catalog.load(tmp_path / name)
    assert len(asked) == 2
    assert not list((tmp_path / "usr" / "local").iterdir())


def test_a_file_that_changes_gives_the_engine_another_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "method.py").write_text("a")
    monkeypatch.setattr(catalog, "_ENGINE", tmp_path)
    monkeypatch.setattr(catalog.time, "monotonic", lambda: 7.2)
    before = catalog.fingerprint()
    (tmp_path / "method.py").write_text("ab")
    monkeypatch.setattr(catalog.time, "monotonic", lambda: 7.9)
    assert catalog.fingerprint() == before, "it is looked at once a second"
    monkeypatch.setattr(catalog.time, "monotonic", lambda: 8.0)
    assert catalog.fingerprint() != before
