"""What is wanted of a recipe, checked before anything is looked for: names, numbers, input space."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from engine.core.errors import UserError
from engine.models.card_settings import check_input_space
from engine.run.recipes.settings import as_text, whole_number

BITS = (2, 8)  # of weights and activations, with any quantizer
IMAGES = (1, 100_000)
SEEDS = (0, 2**62 - 1)


def check_names(wanted: dict[str, Any], known: Sequence[str]) -> None:
    """UserError for a field that no recipe has, and for one of the three that each must have."""
    for name in wanted:
        if name not in known:
            raise UserError(f"{name} is no field of a recipe; there are: {', '.join(known)}")
    for name in ("model", "synthesis", "quantization"):
        if not wanted.get(name):
            raise UserError(f"a recipe needs {name}; give its name, {name}=NAME")
        given = wanted.get(f"{name}_settings") or {}
        if not isinstance(given, dict):
            raise UserError(
                f"{name} settings are {as_text(given)}; give a dictionary of names and values"
            )


def weight_bits_of(quantizer: Mapping[str, Any]) -> tuple[int, int]:
    """The fewest and the most bits that a weight can have with this quantizer of a catalog."""
    return int(quantizer.get("fewest_weight_bits", BITS[0])), BITS[1]


def activation_bits_of(quantizer: Mapping[str, Any]) -> tuple[int, int]:
    """The fewest and the most bits that an activation can have with it."""
    return int(quantizer.get("fewest_activation_bits", BITS[0])), BITS[1]


def check_numbers(
    complete: dict[str, Any], rules: Collection[str], quantizer: Mapping[str, Any]
) -> None:
    """Whole numbers within their limits, in place, and a rule that there is; None takes what is usual."""
    limits = {
        "weight_bits": weight_bits_of(quantizer), "activation_bits": activation_bits_of(quantizer),
        "images": IMAGES, "seed": SEEDS,
    }  # fmt: skip
    for name, limit in limits.items():
        if complete.get(name) is None:
            complete.pop(name, None)
        else:
            complete[name] = whole_number(complete[name], limit, name.replace("_", " "))
    if complete.get("edge_rule", "brecq") not in rules:
        raise UserError(
            f"edge rule {as_text(complete['edge_rule'])} is not known; "
            f"choose one of {', '.join(rules)}"
        )


def check_space(model: dict[str, Any], settings: dict[str, Any]) -> None:
    """UserError where images cannot be brought to what the model settings say."""
    shape = settings.get("image_shape") or model.get("image_shape")
    channels = (
        int(shape[0]) if shape and 1 <= shape[0] <= 4096 else None
    )  # else the card refuses it
    mean, std = (settings.get(name) or () for name in ("mean", "std"))
    check_input_space(mean, std, settings.get("resize") or 0, channels, of="model.")
