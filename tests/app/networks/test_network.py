"""The page of a network: found, waited for, refused; and the map as it is drawn."""

import time
from pathlib import Path
from typing import Any

import pytest

from app.charts.layers.weights import channel_ranges, histogram
from app.charts.networks.network import arrange, merged, network_map
from app.engine_calls.background import Answer, ask
from engine.core.errors import UserError
from engine.run.questions.before_a_run.examine import collect
from engine.run.recipes.recipe import Recipe
from tests.app.fabricate import Fabricated, fabricate
from tests.app.known_pace import PACE
from tests.app.new_run.test_new_run import dialog
from tests.app.test_pages import opened, started, texts

OWN = "from tests.contracts.nets import TinyResNet, ready\ndef tiny(): return ready(TinyResNet())\n"


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A real diagnosis, of a tiny residual network, with one planted problem."""
    file = tmp_path_factory.mktemp("net") / "net.py"
    file.write_text(OWN)
    settings = {"image_shape": [3, 8, 8]}
    recipe = Recipe(
        model=f"{file}:tiny", synthesis="noise", quantization="nearest", model_settings=settings
    )
    found = collect(recipe, Path())
    problem = {
        "level": "problem", "kind": "not-finite", "title": "Values that are no numbers",
        "message": "down.conv2.weight has 1 values", "advice": "Take another.",
        "layer": "down.conv2", "layers": ["down.conv2"],
    }  # fmt: skip
    return found | {"findings": [problem, *found["findings"]]}


@pytest.fixture
def page(runs: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> Path:
    monkeypatch.setattr(
        "engine.run.questions.before_a_run.diagnose.kept", lambda runs, recipe: answer
    )
    monkeypatch.setattr(
        "engine.run.questions.before_a_run.estimate.kept_pace", lambda runs, recipe: PACE
    )
    return runs


def test_page_tells_facts_findings_methods_and_costs(page: Path) -> None:
    at = opened("networks")
    text = texts(at)
    assert {metric.label: metric.value for metric in at.metric}["Layers"] == "7"
    assert "Values that are no numbers" in text
    assert "Take another." in text
    assert "Real" in text
    assert "it needs real images" in text
    assert sum(metric.label == "Time" for metric in at.metric) == 3
    assert "other work made it 4.0 times slower" in text
    assert "something may go wrong there" in text  # a dot of the map has its meaning beside it
    assert next(m.delta for m in at.metric if m.label == "Parameters").endswith(" kB as float")
    assert len(at.get("bidi_component")) == 1


def test_layer_of_the_address_is_looked_into(page: Path) -> None:
    at = opened("networks", layer="down.conv2", wbits="3")
    assert "`down.conv2`" in texts(at)
    assert "W3A4" in texts(at)
    assert len(at.get("bidi_component")) == 3
    assert (
        len(at.get("bidi_component"))
        - len(opened("networks", layer="nobody").get("bidi_component"))
        == 2
    )


def test_button_starts_a_quick_run_of_what_is_shown(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    at = opened("networks", wbits="2", synthesis="noise")
    at.button(key="start-network").click().run()
    assert (recipes[0].preset, recipes[0].weight_bits) == ("quick", 2)
    assert (recipes[0].synthesis, recipes[0].images) == ("noise", 16)


def test_choice_is_written_into_the_address_by_its_name(page: Path) -> None:
    at = opened("networks")
    at.selectbox(key="menu-rule").set_value("qdrop").run()
    assert at.query_params["rule"] == "qdrop"
    assert at.selectbox(key="menu-rule").value == "qdrop"


def test_unknown_network_is_explained(page: Path) -> None:
    at = opened("networks", model="../../etc")
    assert "There is no network named '../../etc' here" in at.error[0].value


def test_page_says_that_the_network_is_being_loaded(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine_calls.diagnoses.ask", lambda kind, key, question: Answer())
    assert "being loaded" in texts(opened("networks"))


def test_refusal_is_shown_as_it_was_said(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Answer(error="weights x are not there")
    monkeypatch.setattr("app.engine_calls.diagnoses.ask", lambda *asked: gone)
    assert opened("networks").error[0].value == "weights x are not there"


def test_question_is_put_once_and_some_time_after_a_refusal_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put: list[int] = []

    def question() -> str:
        put.append(1)
        if len(put) == 1:
            raise UserError("not there yet")
        return "found"

    def answer_to() -> Answer:
        end = time.monotonic() + 60
        while (found := ask("test", "one", question)).is_pending and time.monotonic() < end:
            time.sleep(0.01)
        return found

    # the page that waits draws itself anew when the answer is there, and must find it then
    assert answer_to() == answer_to() == Answer(error="not there yet")
    monkeypatch.setattr("app.engine_calls.background.TOLD_S", 0.0)
    assert answer_to() == Answer(error="not there yet")
    assert answer_to() == answer_to() == Answer(value="found")
    assert len(put) == 2


def test_form_says_cost_and_worst_finding_without_being_in_the_way(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = started(monkeypatch)
    text = texts(at := dialog())
    assert "GB of memory" in text
    assert "Values that are no numbers" in text
    at.button(key="new-start").click().run()
    assert recipes


def test_finished_run_of_the_network_is_what_the_estimate_goes_by(page: Path) -> None:
    fabricate(page, Fabricated())
    assert "finished run of this network here" in texts(opened("networks"))


# --- the map ------------------------------------------------------------------------------------


def graph(*edges: tuple[int, int], kinds: dict[int, str] | None = None) -> dict[str, Any]:
    ids = sorted({end for edge in edges for end in edge})
    named = kinds or {}
    nodes = [
        {
            "id": i, "path": f"n{i}", "kind": named.get(i, "Conv2d"), "shape": [4, 8, 8],
            "block": "b", "layer": named.get(i, "Conv2d") == "Conv2d",
        }
        for i in ids
    ]  # fmt: skip
    return {"nodes": nodes, "edges": [list(edge) for edge in edges]}


def test_followers_are_drawn_into_the_cell_that_they_follow() -> None:
    kinds = {1: "BatchNorm2d", 2: "ReLU", 4: "add", 5: "relu"}
    cells = merged(graph((0, 1), (1, 2), (2, 3), (3, 4), (2, 4), (4, 5), kinds=kinds))
    assert [cell.node["id"] for cell in cells] == [0, 3, 4]
    assert [len(cell.followers) for cell in cells] == [2, 0, 1]
    assert cells[2].sources == [1, 0]  # the addition reads the layer before it, and the shortcut


def test_identity_is_a_line_and_no_cell() -> None:
    cells = merged(graph((0, 1), (0, 2), (1, 3), (2, 3), kinds={2: "Identity", 3: "add"}))
    assert [cell.node["id"] for cell in cells] == [0, 1, 3]
    assert sorted(cells[2].sources) == [0, 1]


def test_branches_have_lanes_of_their_own_and_readers_stand_behind_what_they_read() -> None:
    cells = merged(graph((0, 1), (1, 2), (0, 3), (0, 4), (2, 5), (3, 5), (4, 5), kinds={5: "cat"}))
    lanes, ranks = arrange(cells, list(range(len(cells))))
    assert (lanes, ranks) == (3, 4)
    places = {(cell.rank, cell.lane) for cell in cells}
    assert len(places) == len(cells), "two cells on one place"
    assert all(cells[s].rank < cell.rank for cell in cells for s in cell.sources)
    assert {cells[i].lane for i in (0, 1, 2, 5)} == {0}


def test_map_holds_every_layer_once_with_its_bits_and_flags(answer: dict[str, Any]) -> None:
    layers = [layer | {"weight_bits": 3, "activation_bits": 4} for layer in answer["layers"]]
    drawn = network_map(answer, layers, answer["findings"], "bits")
    cells = [cell for group in drawn["groups"] for cell in group["cells"]]
    assert sorted(cell["layer"] for cell in cells if cell["layer"]) == sorted(
        layer["path"] for layer in layers
    )
    flagged = [cell["layer"] for cell in cells if cell["level"] == "problem"]
    assert flagged == ["down.conv2"]
    assert {group["name"] for group in drawn["groups"]} >= {"down", "same"}
    ids = {cell["id"] for cell in cells}
    assert all(end in ids for edge in drawn["edges"] for end in edge)
    for shade in ("parameters", "macs", "ratio"):
        shaded = network_map(answer, layers, [], shade)
        values = [c["shade"] for g in shaded["groups"] for c in g["cells"] if c["layer"]]
        assert max(values) == 1.0
        assert min(values) >= 0.0


def test_charts_of_a_layer_hold_its_weights(answer: dict[str, Any]) -> None:
    layer = answer["layers"][1]
    assert sum(histogram(layer).figure["data"][0]["y"]) == layer["parameters"]
    lows, highs = channel_ranges(layer).figure["data"]
    widths = [max(abs(a), abs(b)) for a, b in zip(lows["y"], highs["y"], strict=True)]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == layer["shape"][0]
