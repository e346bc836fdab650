"""Bits, and which data a run was calibrated with: a stakeholder's first questions, told in one place."""

from engine.run.recipes.recipe import Recipe

LABELLED = ("fdda",)  # methods that read real images beside the network's statistics


def bits_of(recipe: Recipe) -> str:
    """For example W4A4; mixed where layers were given bits of their own."""
    given = recipe.quantization_settings.get("bits")
    mixed = " mixed" if isinstance(given, dict) and any(given.values()) else ""
    return f"W{recipe.weight_bits}A{recipe.activation_bits}{mixed}"


def data_words(recipe: Recipe) -> str:
    """A sentence on what the student was calibrated with, and whether data was needed for it."""
    count = f"{recipe.images:,} image{'s' if recipe.images != 1 else ''}"
    if recipe.synthesis == "real":
        return f"It was calibrated with {count} of real data: the control."
    if recipe.synthesis == "external":
        return f"It was calibrated with {count} from a folder of the user's own."
    if recipe.synthesis == "noise":
        return f"No data was needed: it was calibrated with {count} of plain noise."
    if recipe.synthesis in LABELLED:
        return (
            f"It was calibrated with {count} grown out of the network's own statistics and a real, labelled "
            "image of each class."
        )
    return f"No data was needed: it was calibrated with {count} grown out of the network itself."
