"""Bit planes of vertical layers: whoever reads the first b of them has the weights at b bits."""

from pathlib import Path

from engine.core.errors import UserError
from engine.export.base import Expected, Finished, Format, FormatCard, Written
from engine.export.planes import PLANES, read_planes, write_planes


class Planes(Format):
    """The weights of vertical layers, most significant bits first."""

    card = FormatCard(
        name="planes",
        title="Bit planes",
        use="One file for all precisions: a device reads as many planes as it has room for. Of weights "
        "alone; biases, BatchNorm and the grids of inputs are those of the run, in its codes.",
        quantizer="vertical",
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        layers = run.network().nested
        if layers is None:
            raise UserError(
                f"the weights of run {run.run!r} have no nested codes, so their first bits alone mean "
                "nothing; choose the quantizer `vertical`"
            )
        path = out / f"{run.run}.planes"
        write_planes(path, layers)
        reads = {bits: read_planes(path, bits).bytes_read for bits in range(1, PLANES + 1)}
        told = ", ".join(f"{bits}: {read:,}" for bits, read in reads.items())
        notes = [f"Bytes that are read, by how many planes: {told}."]
        if whole := [name for name, one in layers.items() if one.whole]:
            notes.append(f"Kept whole, before the planes: {', '.join(whole)}.")
        return [Written(kind="planes", path=path, notes=tuple(notes), facts={"read": reads})]

    def expected(self, run: Finished) -> Expected:
        weights = run.result["size_bytes"]["fp32"] // 4  # and the few other parameters; a byte each
        return Expected(least=weights, most=weights, besides="the factors of each channel")
