"""Layers by four measures: ranks, agreement, time, and the table to take away."""

from typing import Any

from app.charts.why.sensitivities import agreement, ranks
from app.panels.layers.sensitivities import measure_rows, of_layer, table_rows
from engine.run.folders.folder import RunFolder
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep

KINDS = ["sqnr", "output", "hessian", "kl"]
WIDTHS = [2, 3, 4, 6, 8]
PAIRS = [(a, b) for k, a in enumerate(KINDS) for b in KINDS[k + 1 :]]


def row(path: str, rank: float) -> dict[str, Any]:
    by_width = {str(w): rank for w in WIDTHS}
    values = {str(w): 1 / rank for w in WIDTHS}
    return {
        "path": path, "trace": 7.0,
        "ranks": dict.fromkeys(KINDS, by_width), "values": dict.fromkeys(KINDS, values),
    }  # fmt: skip


FOUND: dict[str, Any] = {
    "run": "r", "widths": WIDTHS, "measures": KINDS, "images": 64, "best": "output",
    "layers": [row("conv1", 2.0), row("fc", 1.0)],
    "agreement": [{"a": a, "b": b, "spearman": 0.9, "kendall": 0.7, "by_bits": {}} for a, b in PAIRS],
    "seconds": {"fitting": 1.0, "sqnr": 0.01, "output": 0.4, "hessian": 2.0, "kl": 130.0},
    "notes": ["Weights alone."], "sentence": "The error of the layer's output would have done.",
}  # fmt: skip


def test_ranks_are_cells_and_the_one_that_minds_most_is_told() -> None:
    (cells,) = ranks(FOUND, 3).figure["data"]
    assert cells["z"] == [[2.0] * 4, [1.0] * 4]
    assert cells["x"] == ["weights", "output", "curvature", "answers"]
    assert "answers: fc" in ranks(FOUND, 3).alt


def test_the_matrix_has_each_pair_twice_and_one_on_its_diagonal() -> None:
    (cells,) = agreement(FOUND).figure["data"]
    assert [cells["z"][k][k] for k in range(4)] == [1.0] * 4
    assert cells["z"][0][3] == cells["z"][3][0] == 0.9
    (cells,) = agreement(FOUND, "kendall").figure["data"]
    assert cells["z"][1][2] == 0.7
    unknown = FOUND | {"agreement": [one | {"spearman": None} for one in FOUND["agreement"]]}
    (cells,) = agreement(unknown).figure["data"]
    assert cells["z"][0] == [1.0, None, None, None]


def test_each_measure_has_its_agreement_and_its_time() -> None:
    rows = measure_rows(FOUND)
    assert rows[0] == ("weights", "+0.70", "0.01\N{NO-BREAK SPACE}s")
    assert rows[3] == ("answers", "–", "130\N{NO-BREAK SPACE}s")
    assert rows[-1] == ("grids, for all", "–", "1\N{NO-BREAK SPACE}s")


def test_the_table_has_every_value_and_the_chosen_layer_is_told_of() -> None:
    rows = table_rows(FOUND)
    assert len(rows) == 2 * len(WIDTHS) * len(KINDS)
    assert {one["curvature_trace"] for one in rows if one["measure"] == "hessian"} == {7.0}
    assert of_layer(FOUND, "fc", 4).startswith("fc: rank 1 by weights")
    assert of_layer(FOUND, "gone", 4) == ""


def test_it_opens_with_the_verdict(folder: RunFolder, keep: Keep) -> None:
    keep("sensitivities", FOUND)
    at = opened("layers", run=folder.run_id)
    assert any("by which measure?" in one.label for one in at.expander)
    assert "would have done" not in texts(at)
