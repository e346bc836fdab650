"""What it costs to keep and to run: four kinds kept apart, and how small the codes get."""

from typing import Any

from app.charts.why.packing import packings
from app.panels.answers.costs import cost_rows, known_words, storage_rows
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.conftest import Keep

LOW: dict[str, Any] = {
    "arithmetic": 1.5, "weights_cached": [0.1, 1.0], "weights_dram": [13.0, 26.0],
}  # fmt: skip
HIGH: dict[str, Any] = {
    "arithmetic": 150.0, "weights_cached": [1.0, 10.0], "weights_dram": [130.0, 260.0],
}  # fmt: skip
COSTS: dict[str, Any] = {
    "run": "r", "bytes": {"fp32": 1_000_000, "quantized": 100_000, "how": "counted: codes"},
    "bit_operations": {"fp32": 32_000_000_000, "quantized": 500_000_000, "how": "counted: products"},
    "energy_uj": {"fp32": HIGH, "quantized": LOW, "source": "Horowitz, ISSCC 2014", "how": "estimated"},
    "latency_ms": {"float": 1.0, "quantized": 2.5, "threads": 1, "how": "measured"}, "latency_note": "",
    "sentence": "10.0 times fewer bytes, and yet 2.5 times as long where it was measured.",
}  # fmt: skip
ROW: dict[str, Any] = {
    "path": "conv1", "weights": 100, "zeros": 0.25, "entropy_bits": 1.9, "form": "huffman", "bits": 4,
    "symbols": 12, "payload_bits": 2.0, "ratio": 0.15,
    "bytes": {"packed": 50, "huffman": 40, "sparse": 80, "entropy": 24}, "grid_bytes": 20,
}  # fmt: skip
PACKED: dict[str, Any] = {
    "run": "r", "layers": [ROW], "notes": ["No layer is smallest in the sparse form."], "exact": True,
    "total": {
        "weights": 100, "zeros": 0.25, "entropy_bits": 1.9, "bytes": ROW["bytes"], "chosen_bytes": 40,
        "forms": {"packed": 0, "huffman": 1, "sparse": 0}, "grid_bytes": 20, "file_bytes": 160,
        "float32_bytes": 400, "ratio": 0.4,
    },
}  # fmt: skip


def test_each_kind_has_a_row() -> None:
    rows = {name: [one.replace("\N{NO-BREAK SPACE}", " ") for one in rest]
            for name, *rest in cost_rows(COSTS)}  # fmt: skip
    assert rows["Bytes"] == ["1 MB", "100 kB"]
    assert rows["Bit operations"] == ["32 billion", "500 million"]
    assert rows["Energy: arithmetic"] == ["150 µJ", "1.5 µJ"]
    assert rows["Energy: weights, DRAM"] == ["130–260 µJ", "13–26 µJ"]
    assert rows["Time"] == ["1 ms", "2.5 ms"]


def test_it_is_said_how_each_is_known() -> None:
    said = known_words(COSTS)
    assert "Bytes and bit operations are counted. Energy is estimated" in said
    assert "Horowitz, ISSCC 2014" in said
    assert "Time is measured on this machine, 1 thread." in said
    assert "measured where the run was computed, 1 thread." in known_words(COSTS, here=False)
    assert "Time" not in known_words(COSTS | {"latency_ms": None})


def test_what_was_not_measured_has_no_row() -> None:
    assert not any(row[0].startswith("Time") for row in cost_rows(COSTS | {"latency_ms": None}))


def test_the_bars_are_the_bytes_and_the_least_is_told() -> None:
    (bars,) = packings(PACKED["total"]).figure["data"]
    assert bars["x"] == [50.0, 40.0, 80.0, 24.0, 40.0]
    assert "Huffman-coded 40 B" in packings(PACKED["total"]).alt
    (row,) = storage_rows(PACKED)
    assert row["Zero, %"] == 25.0


def test_the_page_offers_both_questions_and_shows_what_is_known(
    folder: RunFolder, keep: Keep
) -> None:
    at = opened("run", run=folder.run_id, tab="answers")
    labels = [button.label for button in at.button]
    assert "Tell bytes, energy and time" in labels
    assert "Pack the codes" in labels
    keep("resources", COSTS)
    keep("storage", PACKED)
    at = opened("run", run=folder.run_id, tab="answers")
    said = texts(at)
    assert "2.5 times as long where it was measured" in said
    assert "take 160 B, 40.0\u00a0% of the float weights" in said
    assert "Tell bytes, energy and time" not in [button.label for button in at.button]


def test_a_record_says_why_it_cannot_be_asked(runs) -> None:  # type: ignore[no-untyped-def]
    record = fabricate(runs, Fabricated(seed=3))
    at = opened("run", run=record.run_id, tab="answers")
    assert "Pack the codes" not in [button.label for button in at.button]
    assert answers.kept_answer(record, "storage") is None
