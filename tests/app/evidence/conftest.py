"""A folder of shipped measurements of the test's own."""

from pathlib import Path

import pytest


@pytest.fixture
def shipped(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of shipped files, empty."""
    folder = tmp_path / "assets"
    folder.mkdir()
    monkeypatch.setattr("app.run_files.run_folders.ROOT", tmp_path)
    return folder
