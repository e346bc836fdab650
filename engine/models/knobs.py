"""The settings of a network's card as plain data, for forms and `--set model.…`. Imports no torch."""

from collections.abc import Sequence
from typing import Any

INTERPOLATIONS = ("bicubic", "bilinear")
_PRESETS = ("paper", "standard", "quick")


def card_knobs(
    *, mean: Sequence[float], std: Sequence[float], resize: int, low: int
) -> list[dict[str, Any]]:
    """What can be set of every network; `low` is the least that images may be resized to."""
    per_channel = "per colour channel, of pixels in [0, 1], that the network was trained with"
    return [
        _knob("mean", "list", list(mean), "Pixel mean", f"mean {per_channel}"),
        _knob("std", "list", list(std), "Pixel standard deviation", f"std {per_channel}"),
        _knob(
            "resize", "int", resize, "Resize to",
            "larger images are resized so that their short side has so many pixels, then cropped",
            low=low, high=4096,
        ),
        _knob(
            "calibration", "str", "", "Folder of real images",
            "what the control `real` calibrates with, where the network brings none",
        ),
    ]  # fmt: skip


def own_knobs() -> list[dict[str, Any]]:
    """What can be set of a network from the user's own file: also the shape of its images, what it gives."""
    shape = _knob(
        "image_shape", "list", [], "Shape of an image",
        "channels, height, width; guessed as 224 pixels square where it is not given",
    )  # fmt: skip
    resample = _knob(
        "interpolation", "str", "bicubic", "Resize by", "how larger images are resized",
        choices=INTERPOLATIONS,
    )  # fmt: skip
    output = _knob(
        "output", "str", "auto", "What it gives",
        "auto: found by running it; else logits, one-logit, segmentation, image or embedding; of several "
        "values the name of one (out), or NAME:KIND (features:embedding)",
    )  # fmt: skip
    return [shape, *card_knobs(mean=[], std=[], resize=0, low=0), resample, output]


def unlisted_knobs() -> list[dict[str, Any]]:
    """What can be set of a network that no menu lists, `timm/NAME`: what is not given is its card's own."""
    return [*card_knobs(mean=[], std=[], resize=0, low=0), download_knob()]


def download_knob() -> dict[str, Any]:
    """Whether weights may be fetched, for networks whose files lie on their makers' server."""
    return _knob(
        "download", "bool", False, "Download the weights",
        "fetch the weights from their makers where they are not on this machine",
    )  # fmt: skip


def form_knob(forms: Sequence[str]) -> dict[str, Any]:
    """Which of a network's forms is quantized, where it has several that compute the same."""
    return _knob(
        "form", "str", forms[0], "Form of the network",
        "the same function, written with other layers: they lose their bits differently",
        choices=forms,
    )  # fmt: skip


def _knob(
    name: str, kind: str, default: Any, label: str, help_text: str,
    low: int | None = None, high: int | None = None, choices: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name,
        "type": kind,
        "default": default,
        "label": label,
        "help": help_text,
        "low": low,
        "high": high,
        "choices": list(choices),
        "presets": dict.fromkeys(_PRESETS, default),
    }
