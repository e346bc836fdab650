"""The bytes of a file are the stored bits that the run tells, and an overhead that the file tells."""

import numpy as np
import onnx
import pytest
from PIL import Image

from engine import run
from engine.export import light_formats
from engine.export.formats.bundle import Bundle
from engine.export.formats.codes import Codes
from engine.export.formats.film import Film
from engine.export.formats.onnx import Onnx
from engine.export.formats.state_dict import StateDict
from engine.run.exports.export import finished
from tests.run.toy_runs import begun, work
from tests.thorough import thorough

pytestmark = pytest.mark.slow
TOLD = 0.05  # by what a file may differ beyond its overhead


@pytest.fixture(scope="module", params=[(4, 8), *thorough(((8, 8),))])
def student(request, tmp_path_factory):
    """A student of the bundled ResNet-20, judged on few images: how good it is does not matter here."""
    place = tmp_path_factory.mktemp("sizes")
    for k in range(4):
        folder = place / "images" / str(k % 2)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(0, 255, (28, 28), np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.png")
    weights, activations = request.param
    recipe = run.new_recipe(
        model="resnet20-fashion", synthesis="noise", quantization="nearest", weight_bits=weights,
        activation_bits=activations, preset="quick", images=8, data=str(place / "images"),
    )  # fmt: skip
    folder = begun(place / "runs", recipe)
    assert "run" in work(folder)
    of, _ = finished(folder)
    return weights, place, of


def test_an_onnx_file_has_the_bytes_that_the_run_tells(student):
    bits, place, of = student
    (written,) = Onnx().write(of, place)
    told, facts = of.result["size_bytes"]["quantized"], written.facts
    beyond = written.bytes - facts["overhead_bytes"] + facts["folded_bytes"]
    assert abs(beyond - told) < TOLD * told
    assert written.bytes < (1 + TOLD) * told + facts["overhead_bytes"], "of the file itself"
    notes = " ".join(written.notes)
    for name in ("overhead_bytes", "folded_bytes"):
        assert f"{facts[name]:,}" in notes
    graph = onnx.load(written.path).graph
    codes = [one for one in graph.initializer if one.name.endswith(".codes")]
    kinds = {onnx.TensorProto.DataType.Name(one.data_type) for one in codes}
    assert kinds == ({"UINT8"} if bits == 8 else {"UINT4", "UINT8"}), "edges keep 8 bits"
    stored = 8 * sum(len(one.raw_data) for one in codes)
    assert stored == pytest.approx(of.result["stored_bits"]["codes"], rel=0.001)
    assert facts["overhead_bytes"] < 30_000, "names and operators: the same for any bits"
    biases = 4 * sum(one.dims[0] for one in graph.initializer if one.name.endswith(".bias"))
    floats = of.result["stored_bits"]["floats"] // 8
    assert facts["folded_bytes"] == floats - biases, (
        "what is a float to the run and not in the file"
    )


def test_a_file_of_codes_has_the_bytes_that_the_run_tells(student):
    _, place, of = student
    written, _ = Codes().write(of, place)
    told, facts = of.result["size_bytes"]["quantized"], written.facts
    assert abs(written.bytes - facts["header_bytes"] - told) < 0.01 * told
    assert f"{facts['header_bytes']:,}" in " ".join(written.notes)


def test_what_is_told_of_a_size_beforehand_is_the_size_of_the_file(student):
    _, place, of = student
    told = {name: kind().expected(of) for name, kind in light_formats().items()}
    (graph,), (codes, _) = Onnx().write(of, place), Codes().write(of, place)
    beside_names = {
        "onnx": graph.bytes - graph.facts["overhead_bytes"] + graph.facts["folded_bytes"],
        "codes": codes.bytes - codes.facts["header_bytes"],
        "state-dict": StateDict().write(of, place)[0].bytes,
    }
    for name, found in beside_names.items():
        assert told[name].least == told[name].most
        assert found == pytest.approx(told[name].most, rel=TOLD), name
    (bundle,) = Bundle().write(of, place)
    assert bundle.bytes < told["bundle"].most * (1 + TOLD)
    assert told["bundle"].least == 0
    assert told["report"].most == 15_000_000
    (film, *_) = Film().write(of, place)
    assert 0 < film.bytes <= told["film"].most, "noise, the worst that there is to compress"
