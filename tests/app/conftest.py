"""Runs folders of the tests' own: empty, or with fabricated runs."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from streamlit.components.v2.manifest_scanner import scan_component_manifests

from engine.core.errors import UserError
from engine.run.recipes.recipe import Recipe
from tests.app.fabricate import Fabricated, fabricate

STEPS = [
    {
        "name": "steps",
        "type": "int",
        "default": 9,
        "label": "Steps",
        "help": "steps",
        "low": 1,
        "high": 100,
        "choices": [],
        "presets": {"paper": 9, "standard": 8, "quick": 6},
    }
]
CATALOG = {
    "models": [
        {
            "name": "resnet20-fashion",
            "title": "ResNet-20",
            "dataset": "Fashion-MNIST",
            "available": True,
            "reason": "",
            "summary": "Small.",
            "presets": {"quick": {"synthesis.steps": 7, "images": 16}},
            "settings": [],
        }
    ],
    "synthesis": [
        {
            "name": name,
            "title": name.title(),
            "summary": "",
            "paper": "",
            "url": "",
            "needs": ["real-images"] if name == "real" else [],
            "settings": settings,
        }
        for name, settings in (
            ("genie", STEPS),
            ("noise", []),
            ("real", []),
        )
    ],
    "quantization": [
        {
            "name": name,
            "title": name.upper(),
            "summary": "",
            "paper": "",
            "url": "",
            "settings": settings,
        }
        for name, settings in (
            ("quantoscope", STEPS),
            ("genie-m", STEPS),
            ("nearest", []),
        )
    ],
}


@pytest.fixture(scope="session", autouse=True)
def _packages_are_read_once() -> Iterator[None]:
    """Streamlit reads the metadata of every installed package for each app that a test opens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "streamlit.components.v2.manifest_scanner.scan_component_manifests",
            cache(scan_component_manifests),
        )
        yield


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty runs folder, an empty folder of recorded runs, a catalog that costs nothing."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("QUANTOSCOPE_RUNS", str(folder))
    monkeypatch.setenv("QUANTOSCOPE_RECORDED", str(tmp_path / "recorded"))
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: CATALOG)
    monkeypatch.setattr("engine.run.catalog.last_known", lambda runs: CATALOG)
    monkeypatch.setattr("engine.run.questions.before_a_run.estimate.pace_of", _not_measured)
    return folder


def _not_measured(runs: Path, recipe: Recipe) -> dict[str, Any]:
    """No test of a page waits for steps to be measured, nor starts the process that would."""
    raise UserError("nothing is measured here")


@pytest.fixture
def finished(runs: Path) -> str:
    """The id of a finished run in the runs folder."""
    return fabricate(runs, Fabricated()).run_id
