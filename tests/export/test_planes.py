"""A file of bit planes: its first b planes are the network at b bits, logits bit for bit."""

import numpy as np
import pytest
import torch

from engine.export.network import NestedCodes
from engine.export.planes import read_planes, write_planes
from engine.quantization.grids.weights.nested import STORED_BITS
from engine.quantization.methods.vertical import Vertical
from tests.contracts.nets import images, quantized


@pytest.mark.parametrize("bits", range(1, STORED_BITS + 1))
def test_reading_the_first_planes_gives_the_logits_bit_for_bit(bits, tmp_path):
    work = quantized(Vertical, weight_bits=8)
    quantizers = {path: work.student.get_submodule(path).weight_quantizer for path in work.plan}
    file = tmp_path / "planes"
    written = write_planes(
        file,
        {
            path: NestedCodes(q.nested.numpy(), q.clip.view(-1).numpy(), q.factors.numpy())
            for path, q in quantizers.items()
        },
    )
    assert written == file.stat().st_size
    for quantizer in quantizers.values():
        quantizer.read(bits)
    wanted = work.student(images(5, seed=9))
    found = read_planes(file, bits)
    for path in work.plan:
        layer = work.student.get_submodule(path)
        layer._parameters["weight"].data = torch.from_numpy(found.values[path].copy())
        layer.weight_quantizer = None
    assert torch.equal(work.student(images(5, seed=9)), wanted)
    assert found.bytes_read <= written
    assert (found.bytes_read == written) == (bits == STORED_BITS)
    file.write_bytes(file.read_bytes()[: found.bytes_read])  # what lies behind is not needed
    again = read_planes(file, bits)
    assert all(np.array_equal(again.codes[path], found.codes[path]) for path in work.plan)


def test_a_layer_kept_whole_has_all_its_bits_however_few_planes_are_read(tmp_path):
    rng = np.random.default_rng(0)
    cut, whole = (
        NestedCodes(
            rng.integers(0, 256, (2, 3), "u1"), np.ones(2, "f4"), np.ones((2, 8), "f4"), kept
        )
        for kept in (False, True)
    )
    write_planes(tmp_path / "planes", {"cut": cut, "whole": whole})
    found = read_planes(tmp_path / "planes", 3)
    assert np.array_equal(found.codes["whole"], whole.codes)
    assert np.array_equal(found.codes["cut"], cut.codes >> 5)
    fine = (whole.codes.astype("f4") + 0.5) / 128 - 1
    assert np.array_equal(found.values["whole"], fine)


def test_a_file_that_ends_too_early_is_refused(tmp_path):
    layer = NestedCodes(np.zeros((2, 3), np.uint8), np.ones(2, "f4"), np.ones((2, 8), "f4"))
    size = write_planes(tmp_path / "planes", {"a": layer})
    (tmp_path / "planes").write_bytes((tmp_path / "planes").read_bytes()[: size - 1])
    with pytest.raises(ValueError, match="ends too early"):
        read_planes(tmp_path / "planes", 8)
