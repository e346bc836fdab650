"""The contract of the command line with real processes: a small run, cancelled, resumed, repeated."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.known_catalog import know_catalog

ROOT = Path(__file__).parents[3]
FIELDS = {
    "run", "folder", "model", "synthesis", "quantization", "weight_bits", "activation_bits", "seed",
    "fp32_top1", "quantized_top1", "agreement", "test_images", "bn_gap", "layers", "size_bytes",
    "seconds",
}  # fmt: skip
RUN = [
    "run", "--model", "resnet20-fashion", "--synthesis", "genie", "--quantization", "genie-m",
    "--preset", "quick", "--weight-bits", "4", "--activation-bits", "4", "--images", "8",
    "--set", "synthesis.steps=6", "--set", "quantization.steps=3",
]  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `data` (two classes of grey images) beside which runs are kept."""
    place = tmp_path_factory.mktemp("runs")
    know_catalog(place / "runs")
    rng = np.random.default_rng(0)
    for label in ("0", "1"):
        (place / "data" / label).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (28, 28), np.uint8)
            Image.fromarray(pixels).save(place / "data" / label / f"{i}.png")
    return place


def command(place, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "engine", *arguments, "--runs", str(place / "runs")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **options,
    )


def answer(place, *arguments):
    process = command(place, *arguments, "--json")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def test_a_run_prints_what_the_contract_states(place):
    result = answer(place, *RUN, "--data", str(place / "data"))
    assert set(result) >= FIELDS
    assert (result["weight_bits"], result["activation_bits"], result["seed"]) == (4, 4, 0)
    assert result["test_images"] == 8
    assert all(0 <= result[share] <= 1 for share in ("fp32_top1", "quantized_top1", "agreement"))
    assert result["bn_gap"]["last"] < result["bn_gap"]["first"]
    assert result["size_bytes"]["quantized"] < result["size_bytes"]["fp32"] / 5
    assert set(result["seconds"]) == {"synthesis", "quantization", "evaluation"}
    assert len(result["layers"]) == 22  # 19 convolutions, 2 in shortcuts, the classifier
    for layer in result["layers"]:
        stated = {"path", "weight_bits", "activation_bits", "sqnr_local_db", "sqnr_accumulated_db"}
        assert set(layer) >= stated

    (log,) = (place / "runs").glob("*/events.jsonl")
    before = log.read_bytes()
    again = answer(place, *RUN, "--data", str(place / "data"))
    assert again == result
    assert log.read_bytes() == before, "a finished run was computed again"
    (row,) = answer(place, "runs")
    assert (row["run"], row["state"]) == (result["run"], "done")


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_cancels_and_resume_finishes(place):
    long_run = [*RUN, "--data", str(place / "data"), "--seed", "1", "--set", "synthesis.steps=60"]
    process = command(place, *long_run, "--json", start_new_session=True)
    seen = ""
    while "batch 1" not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    run = seen.split()[1]
    states = {row["run"]: row["state"] for row in answer(place, "runs")}
    assert states[run] == "cancelled"
    result = answer(place, "resume", run)
    assert result["run"] == run
    assert set(result) >= FIELDS


def test_listings(place):
    assert {model["name"] for model in answer(place, "models")} >= {"resnet20-fashion"}
    methods = answer(place, "methods")
    assert {method["name"] for method in methods["synthesis"]} >= {"genie", "noise", "real"}
    assert {method["name"] for method in methods["quantization"]} >= {"genie-m", "nearest"}
