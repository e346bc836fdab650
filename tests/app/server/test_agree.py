"""Nothing that a typed path leads to is opened before a button is pressed."""

from pathlib import Path
from typing import Any

import pytest

from app.engine_calls.background import Answer
from tests.app.new_run.test_new_run import dialog
from tests.app.test_pages import opened, started, texts


@pytest.fixture
def opened_files(runs: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every file that was hashed or inspected."""
    seen: list[str] = []

    def look(path: Any, *_: Any) -> str:
        seen.append(str(path))
        return "0" * 64

    monkeypatch.setattr("engine.run.recipes.recipe.sha256_of", look)
    monkeypatch.setattr("engine.run.networks.inspect", look)
    monkeypatch.setattr("app.engine_calls.diagnoses.ask", lambda kind, key, question: Answer())
    return seen


def test_a_link_with_a_weights_path_opens_nothing(opened_files: list[str]) -> None:
    at = opened("networks", weights="/dev/zero")
    at.run()
    assert "Not opened yet: `/dev/zero`" in texts(at)
    assert opened_files == []
    at.button(key="network-files-look").click().run()
    assert set(opened_files) == {"/dev/zero"}
    before = len(opened_files)
    at.query_params["weights"] = "/dev/random"
    at.text_input(key="weights").set_value("/dev/random").run()
    assert len(opened_files) == before


def test_a_form_opens_nothing_while_it_is_filled_in(
    opened_files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    at = dialog(expert=True)
    at.text_input(key="new-1-weights").set_value("/some/where.pth").run()
    at.slider(key="new-1-weight_bits").set_value(3).run()
    assert opened_files == []
    at.button(key="new-start").click().run()
    assert recipes[0].weights == "/some/where.pth"
    assert opened_files == ["/some/where.pth"]


def test_a_path_to_bring_is_not_looked_into_while_it_is_typed(
    opened_files: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(b"x")
    at = opened("bring")
    at.text_input(key="bring-path").set_value(str(file)).run()
    assert opened_files == []
    assert "Not opened yet" in texts(at)


def test_a_device_is_refused_on_the_page_at_once(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine_calls.diagnoses.ask", lambda kind, key, question: Answer())
    at = opened("networks", weights="/dev/zero")
    at.button(key="network-files-look").click().run()
    assert "/dev/zero is a device" in at.error[0].value
    at = dialog(expert=True)
    at.text_input(key="new-1-weights").set_value("/dev/zero").run()
    at.button(key="new-start").click().run()
    assert "/dev/zero is a device" in at.error[0].value
