"""The way out that names one layer: a new run of the recipe with more bits for its weights."""

from app.panels.new_run.dialog import new_run_button
from app.panels.new_run.variants import layer_at
from app.panels.shared.ask_why import MOST_BITS, has_most_bits
from engine.run.folders.folder import RunFolder
from engine.run.recipes.layer_bits import CHOOSES_ITSELF


def more_bits_button(folder: RunFolder, path: str, label: str, *, key: str) -> None:
    """The button; none where the quantizer chooses bits itself, or the layer has as many as there are."""
    if folder.recipe.quantization in CHOOSES_ITSELF or has_most_bits(folder, path, "weight_bits"):
        return
    new_run_button(
        label, key=key, wanted=layer_at(folder.recipe, path, MOST_BITS), icon=":material/build:",
        help=f"Opens New run with the weights of {path} at {MOST_BITS} bits.",
    )  # fmt: skip
