"""Mixed precision: layers that mind least get the fewest bits, at the cost of one width for all.

Cai et al., "ZeroQ: A Novel Zero Shot Quantization Framework", CVPR 2020, arXiv:2001.00281, section 3.3
(sensitivity by KL divergence, on synthetic images); Dong et al., "HAWQ-V2", NeurIPS 2020 (curvature).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.method import Machine, MethodCard, View, describe, knob, knob_of
from engine.quantization.base import QuantizationMethod, QuantizerSettings, Stretch
from engine.quantization.bits.bit_allocation import AllocationSettings, BitAllocation
from engine.quantization.grids.quantizers import Makers
from engine.quantization.plan import BlockLike, LayerBits

OWN = "own"  # of a setting: that of the quantizer behind


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSettings(QuantizerSettings):
    """What decides on the bits of each layer, and which quantizer then uses them."""

    rounding: str = knob(
        "nearest",
        label="Quantizer behind it",
        help="what chooses the codes once the bits are chosen",
        choices=("nearest", "gpfq", "hessian", "lq-nets", "adaround", "brecq", "qdrop", "genie-m",
                 "quantoscope", "pd-quant", "aquant", "slb", "std-based", "vertical", "bitat"),
    )  # fmt: skip
    steps: int = knob(
        0,
        label="Its steps a block",
        help="0: as many as its preset takes; nearest and lq-nets take none",
        low=0, high=1_000_000,
    )  # fmt: skip
    effort: str = knob(
        "paper",
        label="Its effort",
        help="which of its own presets it takes",
        choices=("quick", "standard", "paper"), quick="quick", standard="standard",
    )  # fmt: skip
    batchnorm: str = knob_of(
        QuantizerSettings, "batchnorm",
        default=OWN,
        help="own: as the quantizer behind it does; delta, replace, momentum: see there",
        choices=(OWN, "none", "replace", "momentum", "delta"),
    )  # fmt: skip
    sensitivity: str = knob(
        "kl",
        label="Sensitivity",
        help="kl: how far predictions move with one layer rounded; hessian: curvature times weight error; "
        "output: error of the layer's own output; sqnr: noise of the weights alone, no image needed",
        choices=("kl", "hessian", "output", "sqnr"),
    )
    budget: str = knob(
        "bytes",
        label="What is counted",
        help="bytes of the codes; operations on bits for one image; or latency: each layer's time in ONNX "
        "Runtime, measured on this machine at the start. There a layer whose input is quantized runs in 8 "
        "bits, any other as floats: which do is chosen, and fewer bits take no less time",
        choices=("bytes", "bit-operations", "latency"),
    )
    share: float = knob(
        1.0,
        label="Share of the budget",
        help="1: as much as the chosen bits in every layer would cost",
        low=0.1, high=4,
    )  # fmt: skip
    milliseconds: float = knob(
        0.0,
        label="Budget in milliseconds",
        help="of latency: for one image, the sum over the layers alone in ONNX Runtime's own kernels (an "
        "exported file is exact, and slower); 0: by the share",
        low=0, high=1e6,
    )  # fmt: skip
    inputs: bool = knob(
        False,
        label="Choose the activations' bits too",
        help="each layer's input gets bits of its own, measured like its weights; bytes do not count them",
    )
    lowest: int = knob(2, label="Fewest bits", help="of what is chosen", low=2, high=8)
    highest: int = knob(8, label="Most bits", help="of what is chosen", low=2, high=8)
    solver: str = knob(
        "exact",
        label="Solver",
        help="exact: dynamic programming, which finds the best sum of sensitivities; integer: the same by "
        "an integer programme; greedy: the best upgrade for its cost, again and again",
        choices=("exact", "integer", "greedy"),
    )
    images: int = knob(
        128,
        label="Images to measure on",
        help="of those that there are; each is seen once for every layer and bit width",
        low=1, high=100_000, quick=64,
    )  # fmt: skip
    probes: int = knob(
        50, label="Probes of the curvature", help="mini-batches; for hessian", low=1, high=10_000, quick=16
    )  # fmt: skip


class Mixed(QuantizationMethod):
    """Measures every layer at every width, solves for the budget, and hands on to a quantizer.

    HAWQ-V3 (Yao et al., ICML 2021) limits latency by a table of a graphics card's kernels of 4 and 8 bits.
    Departure: a processor has none of 4, so that latency decides here which inputs are quantized at all.
    """

    card = MethodCard(
        name="mixed",
        title="Mixed precision",
        summary="Bits where they matter: each layer's sensitivity is measured, and a budget is shared out.",
        paper="Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, CVPR 2020",
        url="https://arxiv.org/abs/2001.00281",
    )
    Settings = MixedSettings

    def __init__(self, settings: Any) -> None:
        if settings.lowest > settings.highest:
            raise UserError(
                f"quantization.lowest is {settings.lowest}; it must not be above "
                f"quantization.highest, which is {settings.highest}"
            )
        _check_together(settings)
        from engine.quantization import discover_methods  # here: it imports this file

        cls = discover_methods()[settings.rounding]
        own = {one["name"]: one["presets"][settings.effort] for one in describe(cls.Settings)}
        if settings.batchnorm == OWN:
            settings = replace(settings, batchnorm=own["batchnorm"])
        if settings.steps and "steps" in own:
            own["steps"] = settings.steps
        shared = {one.name: getattr(settings, one.name) for one in fields(QuantizerSettings)}
        super().__init__(settings)
        self._inner = cls(cls.Settings(**own | shared))
        self.looks_ahead, self.exportable = self._inner.looks_ahead, self._inner.exportable

    def planner(
        self,
        teacher: nn.Module,
        blocks: Sequence[BlockLike],
        plan: dict[str, LayerBits],
        images: Tensor,
        rng: torch.Generator,
    ) -> BitAllocation:
        chosen: MixedSettings = self.settings
        return BitAllocation(
            teacher,
            blocks,
            plan,
            images[: chosen.images],
            settings=AllocationSettings(
                sensitivity=chosen.sensitivity,
                bits=range(chosen.lowest, chosen.highest + 1),
                cost=chosen.budget,
                share=chosen.share,
                milliseconds=chosen.milliseconds,
                solver=chosen.solver,
                probes=chosen.probes,
                inputs=chosen.inputs,
            ),
            makers=self.makers(),
            rng=rng,
        )

    def makers(self) -> Makers:
        return self._inner.makers()

    def notes(self) -> list[str]:
        return self._inner.notes()

    def steps_per_block(self) -> int:
        return self._inner.steps_per_block()

    def steps_of(self, block: BlockLike) -> int:
        return self._inner.steps_of(block)

    def calibration(self, images: Tensor) -> Tensor:
        return self._inner.calibration(images)

    def stretches_of(self, block: BlockLike) -> tuple[Stretch, ...]:
        return self._inner.stretches_of(block)

    def at_most(self, steps: int) -> "Mixed":
        few = Mixed(self.settings)
        few._inner = self._inner.at_most(steps)
        return few

    def reconstruct(self, student: nn.Module, block: BlockLike, **given: Any) -> Machine | None:
        return self._inner.reconstruct(student, block, **given)

    def views(self, student: nn.Module, block: BlockLike) -> Sequence[View]:
        return self._inner.views(student, block)

    def finish(self, student: nn.Module, block: BlockLike) -> None:
        self._inner.finish(student, block)


def _check_together(settings: MixedSettings) -> None:
    if settings.inputs and settings.budget == "bytes":
        raise UserError(
            "quantization.inputs chooses the activations' bits, which cost no bytes: every one would get the "
            "most; set quantization.budget to bit-operations"
        )
    if settings.milliseconds and settings.budget != "latency":
        raise UserError(
            f"quantization.milliseconds is {settings.milliseconds:g}, but quantization.budget counts "
            f"{settings.budget}; set the one to 0, or the other to latency"
        )
    if settings.sensitivity != "hessian":
        return
    if settings.budget == "latency":
        raise UserError(
            "quantization.sensitivity is hessian, which is that of weights; latency chooses inputs: set it "
            "to kl, output or sqnr"
        )
    if settings.inputs:
        raise UserError(
            "quantization.sensitivity is hessian, which is that of weights; to choose the activations' bits "
            "too, set it to kl, output or sqnr"
        )
