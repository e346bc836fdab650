"""Corrections around quantizing: before it across layers, behind it block by block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.events import Event, Noted
from engine.models.graph.blocks import Block
from engine.quantization.base import QuantizerSettings
from engine.quantization.transforms.bias_and_batchnorm_correction import (
    BatchNormShift,
    correct_block,
)
from engine.quantization.transforms.equalisation import equalised
from engine.run.context import Context

_SHIFT = "batchnorm-shift:"  # before the name of a BatchNorm, in a block's file


def with_equal_ranges(context: Context, settings: QuantizerSettings) -> Context:
    """The context with a teacher of equalised channels, where that is chosen; it computes the same."""
    if not settings.equalise:
        return context
    teacher, _ = equalised(context.teacher)
    return replace(context, teacher=teacher)


def announce(context: Context, settings: QuantizerSettings) -> Iterator[Event]:
    """Say where a correction that was asked for has nothing to work on."""
    modules = list(context.teacher.modules())
    if settings.equalise and not equalised(context.teacher)[1]:
        yield Noted(
            message="Nothing was equalised: no two layers of this network stand in a chain of their own "
            "with only a BatchNorm, ReLU or pooling between them."
        )
    if not context.output.compares_scores:
        yield from _takes_for_classes(settings)
    if settings.batchnorm != "none" and not any(isinstance(m, nn.BatchNorm2d) for m in modules):
        yield Noted(
            message="This network has no BatchNorm to correct; quantization.bias_correction does the like."
        )


def _takes_for_classes(settings: Any) -> Iterator[Event]:
    """Say so where a setting reads an embedding as if it were scores of classes."""
    if getattr(settings, "prediction", "") == "kl" and settings.prediction_weight:
        yield Noted(
            message="quantization.prediction=kl reads this network's outputs as scores of classes, which "
            "they are not; embedding compares their directions."
        )
    sensitivity = getattr(settings, "sensitivity", "sqnr")
    if sensitivity in ("kl", "hessian"):
        yield Noted(
            message=f"quantization.sensitivity={sensitivity} reads this network's outputs as scores of "
            "classes, which they are not; output looks at each layer alone."
        )


def correct(
    context: Context,
    settings: QuantizerSettings,
    student: nn.Module,
    block: Block,
    cached: dict[str, Any],
) -> list[BatchNormShift]:
    """Correct a finished block as the settings say; what was found at each BatchNorm."""
    if not settings.bias_correction and settings.batchnorm == "none":
        return []
    x_teacher: Tensor = cached["x_teacher"]
    return correct_block(
        student,
        context.teacher,
        block,
        x_teacher=x_teacher,
        x_student=cached["x_student"],
        bias=settings.bias_correction,
        batchnorm=settings.batchnorm,
    )


def stored_shifts(shifts: Sequence[BatchNormShift]) -> dict[str, Tensor]:
    """What was found at a block's BatchNorms, for its file: a resumed run warns of all blocks too."""
    return {
        f"{_SHIFT}{shift.path}": torch.tensor([shift.of_images, shift.of_bits], dtype=torch.float64)
        for shift in shifts
    }


def restored_shifts(state: Mapping[str, Tensor]) -> list[BatchNormShift]:
    """The same from a block's file."""
    return [
        BatchNormShift(path=name.removeprefix(_SHIFT), of_images=images, of_bits=bits)
        for name, value in state.items()
        if name.startswith(_SHIFT)
        for images, bits in (value.tolist(),)
    ]


def warn(shifts: Sequence[BatchNormShift], settings: QuantizerSettings) -> Iterator[Event]:
    """Say so where images are too unlike data for their statistics to be taken over."""
    worse = [shift for shift in shifts if shift.of_images > shift.of_bits]
    if settings.batchnorm not in ("replace", "momentum") or not worse:
        return
    images = sum(shift.of_images for shift in worse) / len(worse)
    bits = sum(shift.of_bits for shift in worse) / len(worse)
    if (
        settings.bias_correction
    ):  # before a BatchNorm is looked at, the shift to compare with is gone
        said = (
            "Taking BatchNorm statistics from these images brings their own bias in: they are "
            f"{images:.2f} standard deviations from the stored ones on average in {len(worse)} of "
            f"{len(shifts)} layers, and what quantization shifted is in the biases already."
        )
    else:
        said = (
            f"Taking BatchNorm statistics from these images does harm in {len(worse)} of "
            f"{len(shifts)} layers: there they are further from the stored ones ({images:.2f} standard "
            f"deviations on average) than quantization shifts them ({bits:.2f})."
        )
    yield Noted(message=f"{said} quantization.batchnorm=delta leaves the images' own bias out.")
