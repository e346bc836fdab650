"""What a preset takes of a method on a network: how many images, and every setting."""

from typing import Any

from engine.run.recipes.settings import resolve

USUAL_IMAGES = {"quick": 128, "standard": 256, "paper": 1024}


def images_at(preset: str, model: dict[str, Any], synthesis: str) -> int:
    """How many images a preset takes: the network's own budget of the method, of all, or the usual number."""
    budget = model["presets"].get(preset, {})
    usual = budget.get("images", USUAL_IMAGES[preset])
    return int(budget.get(f"synthesis.{synthesis}.images", usual))


def settings_at(
    preset: str,
    model: dict[str, Any],
    kind: str,
    method: dict[str, Any],
    given: dict[str, Any],
) -> dict[str, Any]:
    """Every setting of a method: what is given, else the network's own budget, else the preset's.

    `model` and `method` as the catalog describes them. A budget says how many steps are taken, not whether:
    where the preset has none, there are none.
    """
    knobs = method["settings"]
    known = {knob["name"] for knob in knobs if knob["presets"][preset] != 0}
    of_all, of_this = f"{kind}.", f"{kind}.{method['name']}."
    budget: dict[str, Any] = {}
    for start in (of_all, of_this):  # what is said of this method alone counts
        for name, value in model["presets"].get(preset, {}).items():
            if name.startswith(start) and name.removeprefix(start) in known:
                budget[name.removeprefix(start)] = value
    return resolve(knobs, preset, budget | given, kind)
