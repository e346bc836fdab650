"""How far the weights moved: each layer's drift, and all layers against all."""

from typing import Any

from app.charts.why.similarity import alike_map, drifts
from app.panels.layers.drift import verdict
from engine.run.folders.folder import RunFolder
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep

LAYERS: list[dict[str, Any]] = [
    {"path": "conv1", "raw": 0.99, "chain": 0.99, "matched": 0.99, "drift": 0.01},
    {"path": "fc", "raw": 0.8, "chain": 0.75, "matched": 0.75, "drift": 0.25},
    {"path": "odd", "raw": None, "chain": None, "matched": None, "drift": None},
]
PATHS = [one["path"] for one in LAYERS]
COSINES = [[0.99, None, None], [None, 0.75, None], [None, None, None]]
FOUND: dict[str, Any] = {
    "run": "r", "other": None, "layers": LAYERS, "moved_channels": 0, "drift_rank": 0.9,
    "matrix": {"rows": PATHS, "columns": PATHS, "cosines": COSINES}, "test": None,
    "sentence": "fc has drifted most.", "notes": ["Layers of one name are alike."],
}  # fmt: skip


def test_the_layer_that_moved_most_is_named_with_what_its_rank_says() -> None:
    assert "`fc` moved most**: a cosine of 0.7500" in verdict(FOUND)
    assert "rank alike (Spearman +0.90)" in verdict(FOUND)
    assert "rank the other way round (Spearman -0.80)" in verdict(FOUND | {"drift_rank": -0.8})
    assert "little to do with each other" in verdict(FOUND | {"drift_rank": 0.07})
    assert "Spearman" not in verdict(FOUND | {"drift_rank": None})
    assert "can be compared" in verdict(FOUND | {"layers": LAYERS[2:]})


def test_bars_are_the_drifts_that_are_known_and_the_map_leaves_other_shapes_empty() -> None:
    (bars,) = drifts(LAYERS, "fc").figure["data"]
    assert (bars["x"], bars["y"]) == (["conv1", "fc"], [0.01, 0.25])
    assert len({*bars["marker"]["color"]}) == 2
    (cells,) = alike_map(FOUND["matrix"]).figure["data"]
    assert cells["z"] == COSINES
    assert "least with itself is 0.7500" in alike_map(FOUND["matrix"]).alt


def test_it_is_closed_until_it_is_opened(folder: RunFolder, keep: Keep) -> None:
    keep("similarity", FOUND)
    at = opened("layers", run=folder.run_id)
    assert any("How far did the weights move?" in one.label for one in at.expander)
    assert "moved most" not in texts(at)
