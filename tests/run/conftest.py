"""The tiny network's runs, for the tests of whole runs that ask for them."""

import pytest

from tests.run.toy_runs import begun, only_the_toy, work


@pytest.fixture
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


@pytest.fixture
def straight(toy, tmp_path):
    """The run that nothing disturbs."""
    folder = begun(tmp_path / "straight")
    work(folder)
    return folder
