"""Reads what `--codes` wrote, with numpy and safetensors alone: every tensor of the network, as floats."""

import json
import sys

import numpy as np
from safetensors import safe_open


def read_codes(path):  # type: ignore[no-untyped-def]
    """{name: array} of the quantized network; weights are scale · (codes − zero point)."""
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["quantized"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for layer, grid in about["weights"].items():
        bits, shape = grid["bits"], grid["shape"]
        count = int(np.prod(shape))
        spread = np.unpackbits(tensors.pop(layer + ".codes"), count=count * bits, bitorder="little")
        codes = (spread.reshape(count, bits) << np.arange(bits)).sum(1).reshape(shape[0], -1)
        if layer + ".levels" in tensors:
            values = np.take_along_axis(tensors.pop(layer + ".levels"), codes, 1)
        else:
            scale, zero = tensors.pop(layer + ".scale"), tensors.pop(layer + ".zero_point")
            values = scale[:, None] * (codes - zero[:, None]).astype(np.float32)
        tensors[layer + ".weight"] = values.reshape(shape)
    return tensors


if __name__ == "__main__":
    for name, values in sorted(read_codes(sys.argv[1]).items()):  # type: ignore[no-untyped-call]
        print(name, values.shape, values.dtype, float(np.abs(values).sum(dtype=np.float64)))
