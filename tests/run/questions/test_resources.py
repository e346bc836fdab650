"""What a finished tiny run costs: what is counted, what is estimated, what is measured, and what is not."""

import json
from dataclasses import replace

import pytest

from engine.__main__ import main
from engine.analysis.costs.energy import mac_pj
from engine.core.errors import UserError
from engine.models.graph.macs import count_macs
from engine.run.folders.folder import RunFolder
from engine.run.questions.costs.resources import resources, sentence
from engine.run.questions.why.opened import open_run
from tests.run.toy_runs import RECIPE, begun, rounded_at


@pytest.fixture
def folder(monkeypatch, tmp_path):
    return rounded_at(3, monkeypatch, tmp_path)


def test_the_four_kinds_stand_apart_and_each_says_how_it_is_known(folder, capsys):
    assert main(["resources", folder.run_id, "--json", "--runs", str(folder.path.parent)]) == 0
    found = json.loads(capsys.readouterr().out)
    result = folder.result()
    for kind, word in (("bytes", "counted"), ("bit_operations", "counted"),
                       ("energy_uj", "estimated"), ("latency_ms", "measured")):  # fmt: skip
        assert found[kind]["how"].startswith(word)
    assert found["bytes"]["quantized"] == result["size_bytes"]["quantized"]
    assert found["bit_operations"]["fp32"] == result["bit_operations"]["fp32"]
    assert found["latency_ms"]["quantized"] > 0
    assert found["energy_uj"]["source"].startswith("Horowitz")


def test_products_are_those_of_the_network(folder):
    run, found = open_run(folder, images=1), resources(folder)
    macs = count_macs(run.teacher, run.plan, run.images[:1])
    assert found["energy_uj"]["fp32"]["arithmetic"] == pytest.approx(
        sum(macs.values()) * mac_pj(None, None) * 1e-6
    )
    by_hand = sum(
        macs[path] * mac_pj(bits.weight_bits, bits.activation_bits or 8)
        for path, bits in run.plan.items()
    )
    assert found["energy_uj"]["quantized"]["arithmetic"] == pytest.approx(by_hand * 1e-6)


def test_a_table_says_that_bits_are_not_speed(folder, capsys):
    assert main(["resources", folder.run_id, "--runs", str(folder.path.parent)]) == 0
    said = capsys.readouterr().out
    assert "how it is known" in said
    assert "ms an image" in said


def test_the_sentence_says_slower_as_slower_and_nothing_where_nothing_was_measured():
    stored, moved = {"fp32": 800, "quantized": 100}, {"fp32": 6400, "quantized": 100}
    slow = {"float": 1.0, "quantized": 2.5}
    assert "8.0 times fewer bytes and 64 times fewer" in sentence(stored, moved, slow)
    assert "yet 2.5 times as long" in sentence(stored, moved, slow)
    assert "0.50 of the float" in sentence(stored, moved, {"float": 1.0, "quantized": 0.5})
    assert "not measured" in sentence(stored, moved, None)


def test_an_unfinished_run_is_refused_and_one_without_its_network_has_no_time(folder, tmp_path):
    unfinished = begun(tmp_path / "other", replace(RECIPE, seed=5))
    with pytest.raises(UserError, match="not finished"):
        resources(unfinished)
    for file in (folder.path / "blocks").glob("*.safetensors"):
        file.unlink()
    found = resources(RunFolder(folder.path))
    assert found["latency_ms"] is None
    assert "has kept no network" in found["latency_note"]
    assert found["sentence"].endswith("not measured.")
