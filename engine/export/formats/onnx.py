"""ONNX with QuantizeLinear and DequantizeLinear: weights as 2-, 4- or 8-bit integers, for any runtime."""

from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path

from engine.export.base import Expected, Finished, Format, FormatCard, Written
from engine.export.kept import even_weights
from engine.export.network import Network

TYPES = (2, 4, 8)  # bits of the integers that ONNX has
MOST_BYTES = 2**31 - 2**20  # a protobuf message holds no more


class Onnx(Format):
    """The network as the student computes it: codes with a scale and zero point a channel, in floats between.

    BatchNorm is folded into the layer before it where that has no other reader, as corrected; elsewhere
    it is an operator of its own.
    """

    card = FormatCard(
        name="onnx",
        title="ONNX",
        use="Run it elsewhere: ONNX Runtime, or a compiler for a device that reads ONNX's quantized form.",
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        from engine.core.errors import UserError
        from engine.export.graph.write import write_graph

        network = run.network()
        graph = write_graph(network, run.run)
        data = graph.model.SerializeToString()
        if len(data) > MOST_BYTES:
            raise UserError(
                f"run {run.run!r} would be an ONNX file of {len(data):,} bytes, and {MOST_BYTES:,} are the "
                "most that one file holds; take the codes (--codes) instead"
            )
        path = out / f"{run.run}.onnx"
        path.write_bytes(data)
        payload = sum(len(one.raw_data) for one in graph.model.graph.initializer)
        facts = {
            "payload_bytes": payload,
            "overhead_bytes": len(data) - payload,  # names, shapes and operators
            "folded_bytes": graph.folded_bytes,
            "opset": graph.model.opset_import[0].version,
            "types": {path: kind.name for path, kind in graph.stored.items()},
            "ends": graph.ends,
            "grids": graph.grids,
            "any_batch": graph.any_batch,
        }
        kept = {path: kind.bits for path, kind in graph.stored.items()}
        values = _on_values(network, graph.in_floats)
        notes = (*_on_types(network, kept), *values, *_on_runtime(facts["opset"]))
        if not graph.any_batch:
            notes += (
                "It takes one image at a time: the network's own code fixes the number of images.",
            )
        notes += (f"Of its bytes {facts['overhead_bytes']:,} are names and operators.",)
        if graph.folded_bytes:
            notes += (
                f"BatchNorm is folded into the layers before it: {graph.folded_bytes:,} bytes that the run's "
                "size counts are not in the file.",
            )
        return [Written(kind="onnx", path=path, notes=notes, facts=facts)]

    def expected(self, run: Finished) -> Expected:
        told, layers = run.result["size_bytes"], run.result["layers"]
        besides = "names and operators"
        counts = even_weights(run.folder, layers)
        if counts is None:  # other grids are in the file as floats
            return Expected(least=told["quantized"], most=told["fp32"], besides=besides)
        wider = sum(counts[one["path"]] * _wider(one["weight_bits"]) for one in layers) // 8
        total = told["quantized"] + wider
        return Expected(least=total, most=total, besides=besides)


def _wider(bits: int) -> int:
    """By how many bits the type is wider that holds codes of so many."""
    return next((held for held in TYPES if held >= bits), bits) - bits


def _on_types(network: Network, kept: dict[str, int]) -> Iterator[str]:
    """Where codes had to go into a larger type."""
    wider = Counter(
        (network.weights[path].bits, bits)
        for path, bits in kept.items()
        if network.weights[path].bits != bits
    )
    for (bits, stored), layers in sorted(wider.items()):
        yield (
            f"ONNX has no integers of {bits} bits: the codes of {layers} layers are kept in {stored} bits "
            "each."
        )


def _on_values(network: Network, in_floats: Set[str]) -> Iterator[str]:
    """What no integer type holds, and what it is in the file."""
    listed = sum(grid.levels is not None for grid in network.weights.values())
    if listed:
        yield (
            f"The weights of {listed} layers lie on learned levels, which no integer type holds: they are in "
            "the file as 32-bit floats, so it is as large as the float network there."
        )
    if network.composed:
        yield (
            f"The weights of {len(network.composed)} layers are made of several codes each, which no integer "
            "type holds: they are in the file as 32-bit floats, so it is as large as the float network "
            "there."
        )
    bases = sum(grid.kind == "basis" for grid in network.inputs.values())
    if bases:
        yield (
            f"{bases} inputs are rounded to learned levels by a search and a table, in floats: the same "
            "values, but no integer kernel computes them."
        )
    borders = sum(grid.kind == "border" for grid in network.inputs.values())
    if borders:
        yield (
            f"{borders} inputs are rounded at learned borders, in float arithmetic: the same values, but no "
            "integer kernel computes them."
        )
    if in_floats:
        yield (
            f"{len(in_floats)} inputs of float weights are rounded in float arithmetic: the same values, and "
            "no runtime takes such weights for integers, which ONNX Runtime would do between two integer "
            "grids."
        )
    dynamic = sum(grid.kind == "dynamic" for grid in network.inputs.values())
    if dynamic:
        yield (
            f"{dynamic} inputs have levels by their own mean and deviation, taken anew for each image, in "
            "float arithmetic: two more passes over each, and no integer kernel computes them."
        )
    signs = sum(grid.kind == "signs" for grid in network.inputs.values())
    if signs:
        yield (
            f"{signs} inputs are signs of one size, in floats: the same values, but no integer kernel "
            "computes them."
        )
    few = sum(
        grid.kind == "even" and grid.bits < 8 and path not in in_floats
        for path, grid in network.inputs.items()
    )
    if few:
        yield f"{few} inputs have fewer than 8 bits: they are 8-bit integers clipped to so many levels."


def _on_runtime(opset: object) -> Iterator[str]:
    if opset == 25:
        yield "2-bit integers are of opset 25: older runtimes refuse the file (ONNX Runtime 1.32 reads it)."
