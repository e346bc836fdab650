"""A finished tiny run taken elsewhere: files that compute what its student computes, and their proof."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from engine import run
from engine.__main__ import main
from engine.core.errors import UserError
from engine.export import discover_formats, format_lines, needs_network
from engine.export.network import InputGrid
from engine.export.planes import read_planes
from engine.run.context import make_context
from engine.run.exports.export import export
from engine.run.exports.plain import plain_network
from engine.run.exports.ties import first_tie
from engine.run.folders.control import Control
from engine.run.stages.quantization.quantize import load_student
from tests.contracts.nets import TinyResNet, images
from tests.run.toy_runs import IMAGES, RECIPE, begun, work
from tests.thorough import thorough

RECORDED = Path("assets/recorded")


def finished(tmp_path, **changes):
    quick = {"quantization": "nearest", "quantization_settings": {}}
    folder = begun(tmp_path / "runs", replace(RECIPE, **quick | changes))
    assert "run" in work(folder)
    return folder


def loaded(folder):
    control = Control(folder.path, lambda state: None)
    context = make_context(folder.recipe, folder, control, torch.device("cpu"))
    return context, load_student(context)


def path_of(found, kind):
    return Path(next(one["path"] for one in found["files"] if one["kind"] == kind))


def types(path):
    """By layer: the type that its codes are kept in, as a reader of the file finds it."""
    graph = onnx.load(path).graph
    kinds = onnx.TensorProto.DataType
    return {t.name: kinds.Name(t.data_type) for t in graph.initializer if t.name.endswith(".codes")}


@pytest.mark.parametrize(("weights", "activations", "kind"), [(8, 8, "UINT8"), (2, 3, "UINT2"),
    *thorough((4, 8, "UINT4"), (3, 4, "UINT4"))])  # fmt: skip
def test_the_file_computes_what_the_student_computes(toy, tmp_path, weights, activations, kind):
    folder = finished(tmp_path, weight_bits=weights, activation_bits=activations)
    found = export(folder, ["onnx"])
    proof = found["proof"]
    assert (proof["images"], proof["agreement"], proof["differing"]) == (IMAGES // 2, 1.0, [])
    assert proof["largest_logit_difference"] < 1e-5
    assert len(proof["ends"]) == 4
    assert max(end["largest_difference"] for end in proof["ends"]) < 1e-5
    assert all(value > 0 for value in proof["latency_ms"].values())
    kept = types(path_of(found, "onnx"))
    assert kept["down.conv1.codes"] == kind
    assert kept["stem.0.codes"] == "UINT8", "the first layer keeps 8 bits"
    notes = " ".join(found["files"][0]["notes"])
    assert ("no integers of 3 bits" in notes) is (weights == 3)
    assert json.loads(path_of(found, "proof").read_text()) == proof


def test_codes_are_read_without_this_project_and_are_the_students_weights(toy, tmp_path):
    folder = finished(tmp_path, weight_bits=3)
    found = export(folder, ["codes"], tmp_path / "out")
    assert found["proof"] is None
    reader = tmp_path / "elsewhere.py"
    reader.write_text(
        "import sys\n"
        "class Nothing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('torch', 'engine', 'app'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Nothing())\n"
        f"sys.path.insert(0, {str(tmp_path / 'out')!r})\n"
        "import numpy as np, read_codes\n"
        "np.savez(sys.argv[2], **read_codes.read_codes(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", str(reader), path_of(found, "codes"), tmp_path / "read.npz"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = np.load(tmp_path / "read.npz")
    _, student = loaded(folder)
    assert np.array_equal(read["same.conv1.weight"], student.same.conv1.weight.detach().numpy())
    assert np.array_equal(read["head.2.bias"], student.head[2].bias.detach().numpy())
    from safetensors.numpy import load_file

    packed = load_file(path_of(found, "codes"))["same.conv1.codes"]
    assert packed.nbytes == -(-6 * 6 * 9 * 3 // 8), "three bits a code, no more"


def test_bit_planes_are_of_nested_codes_alone_and_their_first_give_the_students_weights(
    toy, tmp_path
):
    folder = finished(
        tmp_path, quantization="vertical", weight_bits=3, quantization_settings={"steps": 0}
    )
    found = export(folder, ["planes"])
    read = read_planes(path_of(found, "planes"), 3)
    _, student = loaded(folder)
    for path, values in read.values.items():  # the first and the last layer among them, with 8 bits
        assert np.array_equal(values, student.get_submodule(path).weight.detach().numpy())
    (file,) = found["files"]
    assert f"3: {read.bytes_read:,}" in file["notes"][0]
    assert f"8: {file['bytes']:,}" in file["notes"][0]
    assert "Kept whole, before the planes: stem.0, head.2." in file["notes"]
    with pytest.raises(
        UserError, match="have no nested codes, so their first bits alone mean nothing"
    ):
        export(finished(tmp_path), ["planes"])


@pytest.mark.parametrize("settings", [{}, {"batchnorm": "delta"}, {"equalise": True}])
def test_the_state_dict_loads_into_the_float_network(toy, tmp_path, settings):
    folder = finished(tmp_path, quantization_settings=settings)
    found = export(folder, ["state-dict"])
    plain = TinyResNet().eval()
    plain.load_state_dict(torch.load(path_of(found, "state-dict"), weights_only=True))
    _, student = loaded(folder)
    for module in student.modules():
        if getattr(module, "input_quantizer", None) is not None:
            module.input_quantizer = torch.nn.Identity()
    x = images()
    assert torch.allclose(plain(x), student(x), atol=1e-6)


def test_a_corrected_bias_that_the_float_network_has_no_place_for_is_told(toy, tmp_path):
    folder = finished(tmp_path, quantization_settings={"bias_correction": True})
    found = export(folder, ["state-dict", "onnx", "codes"])
    notes = " ".join(next(one for one in found["files"] if one["kind"] == "state-dict")["notes"])
    assert "biases were added by a correction" in notes
    assert "stem.0.bias" in torch.load(path_of(found, "state-dict"), weights_only=True)
    assert found["proof"]["largest_logit_difference"] < 1e-5


SAID = {"lq-nets": "learned levels", "aquant": "learned borders"}


@pytest.mark.parametrize("method", SAID)
def test_what_no_integer_kernel_computes_is_in_the_file_as_values(toy, tmp_path, method):
    settings = {"turns": 2} if method == "lq-nets" else {"steps": 2, "batch": 4}
    folder = finished(tmp_path, quantization=method, quantization_settings=settings)
    found = export(folder, ["onnx", "codes"])
    assert SAID[method] in " ".join(found["files"][0]["notes"])
    assert found["proof"]["largest_logit_difference"] < 1e-5
    assert bool(types(path_of(found, "onnx"))) is (method == "aquant")
    from safetensors.numpy import load_file

    assert ("stem.0.levels" in load_file(path_of(found, "codes"))) is (method == "lq-nets")


@pytest.mark.parametrize(
    ("method", "settings"),
    [("cfws", {}), ("factorization", {}), ("factorization", {"form": "tucker"})],
)
def test_weights_made_of_several_codes_are_in_every_file_as_the_student_has_them(
    toy, tmp_path, method, settings
):
    folder = finished(tmp_path, quantization=method, quantization_settings=settings)
    found = export(folder, ["onnx", "codes"])
    _, student = loaded(folder)
    made = [p for p, one in quantized(student) if one.weight_quantizer.single() is None]
    assert made
    for file in found["files"]:
        if file["kind"] in ("onnx", "codes"):
            assert f"{len(made)} layers are made of several codes" in " ".join(file["notes"])
    from safetensors.torch import load_file

    tensors = load_file(path_of(found, "codes"))
    for path in made:
        assert torch.equal(tensors[f"{path}.weight"], student.get_submodule(path).weight)
        assert f"{path}.codes" not in tensors


FLOATS = {
    "cfws": {},
    "factorization": {},
    "std-based": {"levels": "log2"},
    "lq-nets": {"turns": 2},
}


@pytest.mark.parametrize("method", ["cfws", "lq-nets", *thorough("factorization", "std-based")])
def test_anybodys_session_computes_the_same_from_float_weights(toy, tmp_path, method):
    folder = finished(tmp_path, quantization=method, quantization_settings=FLOATS[method])
    found = export(folder, ["onnx"])
    file = path_of(found, "onnx")
    notes = " ".join(found["files"][0]["notes"])
    assert ("rounded in float arithmetic" in notes) is (method != "lq-nets")  # a table there
    _, student = loaded(folder)
    x = images()
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    theirs = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    assert np.abs(theirs - student(x).numpy()).max() < 1e-5


def quantized(student):
    return [
        (path, one) for path, one in student.named_modules() if hasattr(one, "weight_quantizer")
    ]


def test_the_plain_module_is_the_student_and_leaves_it_as_it_was(toy, tmp_path):
    context, student = loaded(finished(tmp_path))
    before = student(images())
    network = plain_network(context, student)
    assert torch.equal(network.module(images()), before)
    assert torch.equal(student(images()), before)
    assert network.state.keys() == context.teacher.state_dict().keys()


def test_a_run_that_is_not_finished_or_has_kept_no_network_is_refused(toy, tmp_path, capsys):
    folder = begun(tmp_path / "runs", RECIPE)
    with pytest.raises(UserError, match=r"not finished and has nothing to take away yet"):
        export(folder, ["onnx"])
    recorded = next(RECORDED.iterdir())
    words = ["export", recorded.name, "--runs", str(RECORDED), "--out", str(tmp_path / "out")]
    assert main([*words, "--codes"]) == 2
    assert "has kept no network" in capsys.readouterr().err
    assert main(words) == 2
    assert "name what to take away: " in capsys.readouterr().err


def test_the_command_prints_one_object_with_the_files_and_the_proof(toy, tmp_path, capsys):
    folder = finished(tmp_path)
    runs, out = str(folder.path.parent), tmp_path / "taken"
    words = ["export", folder.run_id, "--runs", runs, "--onnx", "--codes", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["run"] == folder.run_id
    assert {one["kind"] for one in found["files"]} == {"onnx", "codes", "loader", "proof"}
    for one in found["files"]:
        assert Path(one["path"]).parent == out
        assert Path(one["path"]).stat().st_size == one["bytes"]
    assert found["proof"].keys() >= {"images", "agreement", "largest_logit_difference"}
    assert found["proof"]["latency_ms"].keys() >= {"float", "quantized", "threads"}
    assert main(words) == 0
    assert "the file gives the student's class for 100.00\u00a0%" in capsys.readouterr().out


def test_a_proof_stays_with_the_run_for_reports_that_are_made_elsewhere_later(toy, tmp_path):
    folder = finished(tmp_path)
    assert "nothing of an exported file" in str(export(folder, ["report"], tmp_path / "a")["files"])
    found = export(folder, ["onnx"], tmp_path / "b")
    assert json.loads(next(folder.path.rglob("*.proof.json")).read_text()) == found["proof"]
    (report,) = export(folder, ["report"], tmp_path / "c")["files"]
    assert report["notes"] == []
    assert '<section id="proof">' in Path(report["path"]).read_text()


def test_a_folder_that_cannot_be_made_is_refused(toy, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        export(finished(tmp_path), ["codes"], tmp_path / "file" / "out")


def test_the_option_of_each_format_is_its_file_and_no_library_is_loaded_to_list_them():
    found = discover_formats()
    assert list(found) == sorted(format_lines())
    assert {name for name, one in found.items() if one.card.needs_network} == needs_network()
    code = "import sys, engine.__main__ as m; m._parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "onnx", "onnxruntime"}


def test_a_tie_is_found_where_two_computations_first_round_differently():
    grids = {name: InputGrid(bits=4, scale=0.5, low=0, high=15) for name in "abc"}
    ours = {"a": np.array([0.2, 0.9]), "b": np.array([0.74999, 3.0]), "c": np.array([1.0])}
    theirs = {"a": np.array([0.21, 0.9]), "b": np.array([0.75001, 3.0]), "c": np.array([7.0])}
    tie = first_tie(grids, ours, theirs)
    assert (tie.path, tie.values, tie.within_rounding) == ("b", 1, True)
    assert tie.distance == pytest.approx(2e-5, abs=1e-6)
    assert tie.difference == pytest.approx(4e-5, abs=1e-6)
    assert first_tie(grids, ours, ours) is None
    far = first_tie({"c": grids["c"]}, ours, theirs)
    assert (far.path, far.within_rounding) == ("c", False)
    assert first_tie({"c": grids["c"]}, {"c": np.array([9.0])}, {"c": np.array([11.0])}) is None


def test_from_python_the_same_as_from_the_command_line(toy, tmp_path):
    folder = finished(tmp_path)
    found = run.export(folder, ["onnx", "bundle"], tmp_path / "out")
    assert found["proof"]["agreement"] == 1.0
    opened = run.open_bundle(path_of(found, "bundle"), tmp_path / "elsewhere")
    assert opened.run_id == f"{folder.run_id}_opened"
