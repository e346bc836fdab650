"""What the reader says of images is told whatever they are for: to judge, to calibrate, from elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from engine.core.events import Noted
from tests.run.toy_runs import IMAGES, RECIPE, begun, of, only_the_toy, work

DARK = "no value above 4,095 of 65,535"
NEAREST = replace(RECIPE, quantization="nearest", quantization_settings={}, synthesis_settings={})


@pytest.fixture
def dark(tmp_path):
    """Images of 12 bits in files of 16, and one that is none."""
    folder = tmp_path / "dark"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for at in range(IMAGES):
        pixels = rng.integers(0, 4096, (8, 8)).astype(np.uint16)
        pixels[0, 0] = 4095
        Image.fromarray(pixels).save(folder / f"{at}.png")
    (folder / "torn.png").write_bytes(b"nothing")
    return folder


@pytest.mark.parametrize("use", ["data", "calibration", "external"])
def test_notes_on_pixels_and_skipped_files_are_told(use, dark, monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)
    recipe = {
        "data": replace(NEAREST, synthesis="noise", data=str(dark)),
        "calibration": replace(
            NEAREST, synthesis="real", model_settings={"calibration": str(dark)}
        ),
        "external": replace(
            NEAREST, synthesis="external", synthesis_settings={"folder": str(dark)}
        ),
    }[use]
    folder = begun(tmp_path / "runs", recipe)
    monkeypatch.setattr("engine.run.pipeline.quantize", _stop)
    work(folder)
    said = " ".join(note.message for note in of(folder, Noted))
    assert said.count(DARK) == 1
    assert said.count("1 files of dark were skipped: torn.png") == 1


def _stop(*_):
    raise RuntimeError("far enough")
    yield
