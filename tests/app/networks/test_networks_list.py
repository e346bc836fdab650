"""The list of networks: what is found, which is opened first, what is said of those not here."""

from pathlib import Path
from typing import Any

import pytest

from app.panels.networks.listed import matching, source_of
from app.panels.networks.methods import _by_reason
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from tests.app.conftest import CATALOG
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts

MISSING = {
    "name": "torchvision/alexnet", "title": "alexnet · torchvision", "dataset": "ImageNet", "settings": [],
    "available": False, "parameters": 61_000_000, "summary": "Old.", "presets": {},
    "reason": "the weights are not on this machine; download https://x/a.pth to /y, or let the run do so "
    "with --set model.download=true",
}  # fmt: skip
OTHER = CATALOG["models"][0] | {"name": "other", "title": "Other · MNIST", "dataset": "MNIST"}


@pytest.fixture
def three(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled network, another one, and one whose weights are missing; none is ever looked over."""
    catalog = CATALOG | {"models": [MISSING, OTHER, *CATALOG["models"]]}
    monkeypatch.setattr("engine.run.catalog.load", lambda runs: catalog)
    monkeypatch.setattr("app.engine_calls.diagnoses.ask", lambda *asked: _Pending())
    return runs


class _Pending:
    value, error, is_pending = None, "", True


def names(found: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in found]


def test_search_wants_every_word_and_puts_what_is_here_first() -> None:
    models = [MISSING, OTHER, *CATALOG["models"]]
    assert names(matching(models, "", "all"))[-1] == MISSING["name"]
    assert names(matching(models, "fashion RESNET", "all")) == ["resnet20-fashion"]
    assert names(matching(models, "mnist", "all")) == ["other", "resnet20-fashion"]
    assert names(matching(models, "", "torchvision")) == [MISSING["name"]]
    assert matching(models, "", "yours") == []


def test_a_network_is_from_where_its_name_says() -> None:
    told = {"mine/x": "yours", "torchvision/x": "torchvision", "timm/x": "timm", "x": "bundled"}
    assert {name: source_of(name) for name in told} == told


def test_the_usual_network_is_opened_where_nothing_was_looked_at(three: Path) -> None:
    assert opened("networks").query_params["model"] == "resnet20-fashion"


def test_the_network_of_the_present_run_is_opened(three: Path) -> None:
    recipe = Recipe(model="other", synthesis="noise", quantization="nearest")
    RunFolder.create(three, recipe).write_status("failed")
    assert opened("networks").query_params["model"] == "other"


def test_the_network_last_looked_at_is_opened_before_that_of_the_run(three: Path) -> None:
    at = opened("networks", model="other")
    fabricate(three, Fabricated())
    del at.query_params["model"]
    at.run()
    assert at.query_params["model"] == "other"


def test_what_is_not_here_says_how_to_get_it_in_the_words_of_the_page(three: Path) -> None:
    at = opened("networks", model="torchvision/alexnet")
    assert "download https" in at.error[0].value
    assert "--set" not in at.error[0].value
    assert "1 of these 3" not in texts(at)
    assert "2 of these 3 are on this machine" in texts(at)


def test_a_network_of_timm_is_opened_by_its_name(three: Path) -> None:
    at = opened("networks")
    at.text_input(key="network-search").set_value("timm/resnet18").run()
    assert "timm/resnet18" in list(at.dataframe[0].value["network"])


def test_bring_your_own_is_the_first_button_of_the_page(three: Path) -> None:
    at = opened("networks")
    assert [button.label for button in at.button][:2] == ["New run", "Bring your own"]  # the bar's
    at.button[1].click().run()
    assert at.title[0].value == "Bring your own network"
    assert "own" in at.query_params


def test_refusals_of_one_reason_stand_together() -> None:
    refused = [
        {"title": name, "reason": reason} for name, reason in (("a", "x"), ("b", "y"), ("c", "x"))
    ]
    assert _by_reason(refused) == {"x": ["a", "c"], "y": ["b"]}
