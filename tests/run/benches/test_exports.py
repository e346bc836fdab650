"""The bench of files: which networks at which bits, row by row; what was measured before is kept."""

import json

import pytest

from engine.__main__ import main
from engine.core.errors import UserError
from engine.run.benches import exports as bench

OF_THE_PROJECT = {
    f"{name} W{w}A{a}"
    for name in ("resnet20-fashion", "mobilenet-fashion", "repvgg-fashion (branches)",
                 "repvgg-fashion (fused)", "preact-fashion", "vgg-fashion")
    for w, a in ((8, 8), (4, 8), (4, 4), (2, 4))
} | {"efficientnet-lite0 W8A8", "efficientnet-lite0 W4A8"}  # fmt: skip
PROOF = {
    "images": 10, "agreement": 0.9, "largest_logit_difference": 0.25, "largest_logit": 8.0,
    "differing": [{"tie": {"within_rounding": True}}, {"tie": {"within_rounding": False}}, {"tie": None}],
    "latency_ms": {"float": 2.0, "quantized": 3.0, "threads": 1, "float_bytes": 400},
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """The words of every run that is asked for; nothing is computed."""
    words = []

    def answer(*said):
        words.append(" ".join(said))
        return {"run": f"run{len(words)}", "size_bytes": {"quantized": 100}}

    files = [{"kind": "onnx", "bytes": 120}, {"kind": "codes", "bytes": 110}]
    monkeypatch.setattr(bench, "answer_of", answer)
    monkeypatch.setattr(bench.RunFolder, "open", lambda runs, run: run)
    monkeypatch.setattr(bench, "export", lambda folder, formats: {"files": files, "proof": PROOF})
    return words


def test_without_a_choice_every_network_is_measured_at_all_of_its_bits(asked, tmp_path):
    found = bench.exports(tmp_path, tmp_path / "t.json", lambda line: None)
    assert {*found["rows"]} == OF_THE_PROJECT
    fused = [words for words in asked if "model.form=fused" in words]
    assert len(fused) == 4


def test_a_row_or_a_network_is_chosen_and_the_others_stay_as_they_were(asked, tmp_path):
    out = tmp_path / "t.json"
    out.write_text(json.dumps({"rows": {"resnet20-fashion W8A8": "kept"}}))
    only = ["vgg-fashion W2A4", "efficientnet-lite0"]
    found = bench.exports(tmp_path, out, lambda line: None, only, tmp_path / "images")
    rows = found["rows"]
    chosen = ["vgg-fashion W2A4", "efficientnet-lite0 W8A8", "efficientnet-lite0 W4A8"]
    assert [*rows] == ["resnet20-fashion W8A8", *chosen]
    assert rows["resnet20-fashion W8A8"] == "kept"
    assert json.loads(out.read_text())["rows"] == rows
    assert ["--weight-bits 2 --activation-bits 4" in words for words in asked] == [
        True,
        False,
        False,
    ]
    assert ["--data" in words for words in asked] == [False, True, True], (
        "its own images, where it has some"
    )


def test_a_row_says_what_the_proof_says(asked, tmp_path):
    found = bench.exports(tmp_path, tmp_path / "t.json", lambda line: None, ["vgg-fashion W2A4"])
    (row,) = found["rows"].values()
    assert (row["differing"], row["ties"]) == (3, 1)
    assert row["bytes"] == {"told": 100, "float": 400, "onnx": 120, "codes": 110}
    head, line = bench.rows_of(found)
    told = dict(zip(head, line, strict=True))
    assert told["agree"] == "90.00\u00a0% of 10"
    assert (told["differ"], told["by a tie"], told["ms file"]) == ("3", "1", "3.00")


def test_the_table_is_told_in_markdown_where_that_is_asked(asked, tmp_path, capsys):
    words = ["bench", "export", "--runs", str(tmp_path), "--only", "vgg-fashion W2A4", "--markdown"]
    assert main(words) == 0
    head, line, row = capsys.readouterr().out.splitlines()
    assert head.startswith("| network | agree |")
    assert line == "|---" * head.count(" |") + "|"
    assert row.startswith("| vgg-fashion W2A4 | 90.00\N{NO-BREAK SPACE}% of 10 | 3 | 1 |")


@pytest.mark.parametrize("name", ["vgg", "vgg-fashion W3A3", "resnet20-fashion W2A4 "])
def test_what_the_bench_has_not_is_refused(asked, tmp_path, name):
    with pytest.raises(
        UserError, match=r"no network of this bench; choose of efficientnet-lite0, .*'resnet20"
    ):
        bench.exports(tmp_path, tmp_path / "t.json", lambda line: None, [name])
    assert asked == []
