"""One code for every precision: a prefix is what fewer bits would have given."""

import numpy as np
import pytest
import torch
from engine.export.planes import Layer, read_planes, write_planes

from engine.quantization.grids.nested import NestedQuantizer, floor_codes, prefix
from engine.quantization.methods.vertical import Vertical
from tests.contracts.nets import images, quantized

WEIGHT = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("clip", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("bits", range(1, 9))
def test_a_prefix_is_direct_quantization_bit_for_bit(bits, clip):
    step = clip * WEIGHT.flatten(1).abs().amax(1).view(-1, 1, 1, 1) / 128
    full = floor_codes(WEIGHT, step, 8).to(torch.uint8)
    direct = floor_codes(WEIGHT, step * 2 ** (8 - bits), bits)
    assert torch.equal(prefix(full, bits).float(), direct)


def test_rounding_to_nearest_is_not_nested():
    """The trap that the floor grid avoids: cut bits of rounded codes are other codes."""
    step = WEIGHT.abs().max() / 127
    full = (WEIGHT / step).round() + 128
    direct = ((WEIGHT / (step * 16)).round() + 8).clamp(0, 15)
    assert not torch.equal((full / 16).floor(), direct)


def test_one_bit_has_the_optimal_scale_of_signs():
    quantizer = NestedQuantizer(1, widths=(8,))
    quantizer.fit(WEIGHT)
    wanted = torch.where(WEIGHT >= 0, 1.0, -1.0) * WEIGHT.abs().mean((1, 2, 3), keepdim=True)
    assert torch.allclose(quantizer(WEIGHT), wanted, rtol=1e-5)


@pytest.mark.parametrize("bits", range(1, 9))
def test_reading_the_first_planes_gives_the_logits_bit_for_bit(bits, tmp_path):
    work = quantized(Vertical, weight_bits=8)
    quantizers = {path: work.student.get_submodule(path).weight_quantizer for path in work.plan}
    written = write_planes(
        tmp_path / "planes",
        {
            path: Layer(q.full_codes.numpy(), q.step.view(-1).numpy(), q.factors.numpy())
            for path, q in quantizers.items()
        },
    )
    assert written == (tmp_path / "planes").stat().st_size
    for quantizer in quantizers.values():
        quantizer.show(bits)
    wanted = work.student(images(5, seed=9))
    found = read_planes(tmp_path / "planes", bits)
    for path in work.plan:
        layer = work.student.get_submodule(path)
        layer._parameters["weight"].data = torch.from_numpy(found.values[path].copy())
        layer.weight_quantizer = None
    assert torch.equal(work.student(images(5, seed=9)), wanted)
    codes = sum(q.codes.numel() for q in quantizers.values())
    channels = sum(len(q.step) for q in quantizers.values())
    header = len((tmp_path / "planes").read_bytes().split(b"\n", 1)[0]) + 1
    least = header + 4 * channels + bits * (4 * channels + codes // 8)
    assert least <= found.bytes_read <= least + bits * len(work.plan)
    # What lies behind is not needed.
    (tmp_path / "planes").write_bytes((tmp_path / "planes").read_bytes()[: found.bytes_read])
    assert all(
        np.array_equal(read_planes(tmp_path / "planes", bits).codes[p], found.codes[p])
        for p in work.plan
    )


def test_a_file_that_ends_too_early_is_refused(tmp_path):
    layer = Layer(np.zeros((2, 3), np.uint8), np.ones(2, "f4"), np.ones((2, 8), "f4"))
    size = write_planes(tmp_path / "planes", {"a": layer})
    (tmp_path / "planes").write_bytes((tmp_path / "planes").read_bytes()[: size - 1])
    with pytest.raises(ValueError, match="ends too early"):
        read_planes(tmp_path / "planes", 8)
