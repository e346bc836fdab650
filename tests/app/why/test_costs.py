"""What it costs to keep and to run: four kinds kept apart, and how small the codes get."""

from typing import Any

from app.charts.why.packing import against_sparsity, code_lengths, packings
from app.charts.why.planes import measure_of, of_planes, words
from app.panels.answers.costs import cost_rows, crossing_words, known_words, storage_rows
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


MORE: dict[str, Any] = {
    "crossing": {
        "path": "conv1", "weights": 100, "sparse_from": 0.95,
        "rows": [{"zeros": 0.25, "bytes": {"packed": 50, "huffman": 40, "sparse": 80}},
                 {"zeros": 0.95, "bytes": {"packed": 50, "huffman": 20, "sparse": 10}}],
    },
    "planes": [{"bits": k, "bytes": 100 * k, "sqnr_db": 5.0 * k, "agreement": 0.1 * k, "top1": None}
               for k in range(1, 9)],
}  # fmt: skip


def test_the_forms_are_drawn_over_the_zeros_in_bits_a_weight() -> None:
    packed, huffman, sparse = against_sparsity(MORE["crossing"]).figure["data"]
    assert packed["y"] == [4.0, 4.0]
    assert (huffman["y"], sparse["y"]) == ([3.2, 1.6], [6.4, 0.8])
    assert "smallest from 95.0\u00a0% zeros on" in crossing_words(MORE["crossing"])
    assert "never the smallest" in crossing_words(MORE["crossing"] | {"sparse_from": None})


def test_code_lengths_are_shares_of_all_weights() -> None:
    rows = [{"lengths": [0, 60, 40]}, {"lengths": [100]}]
    (bars,) = code_lengths(rows).figure["data"]
    assert (bars["x"], bars["y"]) == ([0, 1, 2], [0.5, 0.3, 0.2])
    assert "0.70 on average" in code_lengths(rows).alt


def test_planes_are_lit_up_to_those_that_are_read_and_judged_by_what_is_known() -> None:
    sizes, answers = of_planes(MORE["planes"], 3).figure["data"]
    assert sizes["y"] == [100 * k for k in range(1, 9)]
    assert len({*sizes["marker"]["color"][:3]} | {*sizes["marker"]["color"][3:]}) == 2
    assert answers["name"] == "agreement with float"
    assert answers["x"] == [1, 2, 3]
    assert answers["y"] == [row["agreement"] for row in MORE["planes"][:3]]
    labelled = [row | {"top1": 0.9} for row in MORE["planes"]]
    assert measure_of(labelled) == "top1"
    embedded = [row | {"agreement": None} for row in MORE["planes"]]
    assert measure_of(embedded) == "sqnr_db"
    assert words(embedded[1]) == "200 B read, SQNR of the output, dB 10.0"


def test_the_page_draws_planes_and_the_crossing_where_the_answer_has_them(
    folder: RunFolder, keep: Keep
) -> None:
    row = ROW | {"lengths": [0, 60, 40]}
    keep("storage", PACKED | {"layers": [row]} | MORE)
    at = opened("run", run=folder.run_id, tab="answers")
    assert "8 of 8 planes: 800 B read, agreement with float 80.0" in texts(at)
    assert "pruned further and further" not in texts(at)
    at.session_state["storage-more"] = True
    assert "pruned further and further" in texts(at.run())


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
