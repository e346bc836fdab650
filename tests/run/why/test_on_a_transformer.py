"""Every question that a finished run can be asked is answered for a network of tokens."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work
from tests.toys import TinyViT

LAYERS = 10  # patches, two blocks of four, head


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("transformer")
    rng = np.random.default_rng(0)
    for k in range(12):
        (place / "data" / str(k % 3)).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(place / "data" / str(k % 3) / f"{k}.png")
    with pytest.MonkeyPatch.context() as patch:
        only_the_toy(patch, place, TinyViT)
        recipe = replace(
            RECIPE, synthesis="gzsq", data=str(place / "data"),
            synthesis_settings={"steps": 3, "batch": 4, "noise_images": 16},
            quantization_settings={
                "steps": 2, "batch": 4, "bias_correction": True, "activation_zero": "searched",
            },
        )  # fmt: skip
        made = begun(place / "runs", recipe)
        work(made)
        yield made


def test_images_grew_from_the_statistics_of_tokens(folder):
    result = folder.result()
    assert len(result["layers"]) == LAYERS
    assert result["test_images"] == 12
    assert result["fp32_top1"] is not None


@pytest.mark.parametrize(
    "question", ["explain", "bits", "predictions", "storage", "similarity", "doctor", "analyse"]
)
def test_a_question_is_answered(folder, question, capsys):
    code = main([question, folder.run_id, "--runs", str(folder.path.parent), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    found = json.loads(said.out)
    if question in ("explain", "analyse"):
        assert len(found["layers"]) == LAYERS


def test_it_is_exported_and_the_file_gives_the_student_s_classes(folder, capsys, tmp_path):
    code = main(
        ["export", folder.run_id, "--runs", str(folder.path.parent), "--out", str(tmp_path),
         "--onnx", "--codes", "--state-dict", "--report", "--json"]
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    found = json.loads(said.out)
    assert found["proof"]["agreement"] == 1
    assert found["proof"]["images"] == 12
