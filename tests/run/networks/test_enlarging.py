"""A network that enlarges images, from noise to its verdict: to the float one, to the truth, to bicubic."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.core.events import Noted, Viewed
from engine.data.idx import write_idx
from engine.models import card as cards
from engine.models.architectures.edsr import SmallEDSR
from engine.models.card import LocalImages
from engine.models.cards.sources import discover_cards
from engine.run import context
from engine.run.commands.printed.tables import _quality
from engine.run.exports.export import export
from tests.run.toy_runs import RECIPE, begun, of, work

IMAGES = 8


@pytest.fixture
def pixels(monkeypatch, tmp_path):
    """The only card is of a small EDSR; what it should give lies beside it, black above and grey below."""
    torch.manual_seed(0)
    state = SmallEDSR(width=4, blocks=1).state_dict()
    save_file(state, tmp_path / "toy.safetensors")
    whole = np.zeros((IMAGES, 16, 16), np.uint8)
    whole[:, 8:] = 128
    write_idx(tmp_path / "x.gz", whole)
    monkeypatch.setattr(context, "ASSETS", tmp_path)
    monkeypatch.setattr(cards, "ASSETS", tmp_path)
    local = LocalImages(images="x.gz", labels="", name="toys, halved", halved=True)
    card = replace(
        discover_cards()["vgg-fashion"], name="toy", image_shape=(1, 8, 8), resize=8, classes=(),
        build=lambda: SmallEDSR(width=4, blocks=1), weights=lambda: tmp_path / "toy.safetensors",
        test=local, calibration=local, reported_top1=None,
    )  # fmt: skip
    monkeypatch.setattr(context, "find_card", lambda name, settings, networks=None: card)
    monkeypatch.setattr("engine.core.device.choose", lambda: torch.device("cpu"))
    return whole


def finished(tmp_path, **changes):
    chosen = {
        "synthesis": "noise", "synthesis_settings": {}, "quantization": "daq",
        "quantization_settings": {}, "weight_bits": 4,
    }  # fmt: skip
    folder = begun(tmp_path / "runs", replace(RECIPE, **chosen | changes))
    return folder, work(folder)


def test_it_is_judged_beside_the_truth_and_bicubic_and_never_by_classes(pixels, tmp_path):
    folder, result = finished(tmp_path)
    assert (result["output_kind"], result["test_images"]) == ("image", IMAGES)
    psnrs = result["truth_psnr_db"]
    assert set(psnrs) == {"float", "quantized", "bicubic"}
    # Of bicubic by hand: only rows beside the edge between black and grey are off.
    assert 15 < psnrs["bicubic"] < 40
    assert psnrs["float"] < psnrs["bicubic"], "it was never trained"
    assert all(math.isfinite(value) for value in psnrs.values())
    assert all(result[name] is None for name in ("fp32_top1", "quantized_top1", "agreement"))
    assert ("PSNR to the truth", f"float {psnrs['float']:.2f}, quantized {psnrs['quantized']:.2f}, "
            f"bicubic {psnrs['bicubic']:.2f} dB") in _quality(result)  # fmt: skip
    said = " ".join(note.message for note in of(folder, Noted))
    assert "top-1" not in said
    assert "mean and deviation of every channel" in said


def test_what_follows_the_image_is_exported_and_seen(pixels, tmp_path):
    folder, _ = finished(tmp_path)
    proof = export(folder, ["onnx"])["proof"]
    assert proof["images"] == IMAGES
    assert proof["largest_logit_difference"] < 1e-3 * proof["largest_logit"]
    seen = [event for event in of(folder, Viewed) if event.form == "deviations"]
    assert [event.what for event in seen] == [
        "body.0.conv1", "body.0.conv2", "behind", "enlarge.0", "tail"
    ]  # fmt: skip
    for event in seen:
        arrays = event.arrays
        together = np.array(arrays["quantized"]) - np.array(arrays["float"])
        assert arrays["difference"] == pytest.approx(
            together.tolist(), abs=2e-3
        )  # both in four digits
        assert arrays["sigma"] == sorted(arrays["sigma"], reverse=True)


@pytest.mark.parametrize("synthesis", ["gzsq", "real"])
def test_images_come_without_batchnorm_too(pixels, tmp_path, synthesis):
    settings = {"steps": 3, "batch": 4} if synthesis == "gzsq" else {}
    _, result = finished(tmp_path, synthesis=synthesis, synthesis_settings=settings)
    assert result["psnr_db"] is not None
