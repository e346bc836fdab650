"""What tells a run from the one it came from, or from the one most like it, in a few words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.engine_calls.choices import title_of
from app.panels.new_run.value_words import EDGES, knob_words
from app.wording.words import EFFORTS
from engine.run.recipes.layer_bits import SETTING as BITS
from engine.run.recipes.recipe import Recipe

MOST_ALIKE = 4  # differences from which on two runs are no siblings
MOST_SAID = 3
NAMED = {"model": "models", "synthesis": "synthesis", "quantization": "quantization"}
KINDS = ("model", "synthesis", "quantization")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run's recipe, and when it was asked for."""

    run_id: str
    recipe: Recipe
    when_s: float


def differences(runs: Sequence[Ran], catalog: dict[str, Any]) -> dict[str, str]:
    """For each run what differs from its parent, else from the most alike that is older; by run id."""
    labels = setting_labels(catalog)
    in_order = sorted(runs, key=lambda run: (run.when_s, run.run_id))
    by_id = {run.run_id: run for run in in_order}
    return {
        run.run_id: _words(run, by_id, in_order[:place], labels)
        for place, run in enumerate(in_order)
    }


def _words(
    run: Ran, by_id: dict[str, Ran], older: Sequence[Ran], labels: dict[tuple[str, str], str]
) -> str:
    if run.recipe.forked_from:
        parent, _, step = run.recipe.forked_from.partition("@")
        what = f"forked at step {step}"
        if parent in by_id:
            parts = changed(by_id[parent].recipe, run.recipe, labels)
            return ", ".join([what, *_few(parts)])
        return f"{what} of a run that is not here"
    found: list[str] | None = None
    for other in reversed(older):  # of equally alike ones the nearest in time
        if other.recipe.model != run.recipe.model or other.recipe.forked_from:
            continue
        parts = changed(other.recipe, run.recipe, labels)
        if found is None or len(parts) < len(found):
            found = parts
    if found is None or len(found) > MOST_ALIKE:
        return "first of its kind"
    return ", ".join(_few(found))


def _few(parts: list[str]) -> list[str]:
    more = len(parts) - MOST_SAID
    return [*parts[:MOST_SAID], *([f"{more} more"] if more > 0 else [])]


def changed(before: Recipe, now: Recipe, labels: dict[tuple[str, str], str]) -> list[str]:
    """What the second recipe has otherwise than the first, one phrase each.

    Settings count where both are of the same method; at another effort, those that go with it do not.
    """
    effort = before.preset != now.preset
    phrases: dict[str, Callable[[Recipe], object]] = {
        f"W{now.weight_bits}A{now.activation_bits}": lambda one: (one.weight_bits, one.activation_bits),
        f"images: {title_of('synthesis', now.synthesis)}": lambda one: one.synthesis,
        f"quantizer: {title_of('quantization', now.quantization)}": lambda one: one.quantization,
        f"effort {EFFORTS.get(now.preset, now.preset)}": lambda one: one.preset,
        f"seed {now.seed}": lambda one: one.seed,
        f"{now.images} images": lambda one: None if effort else one.images,
        f"at 8 bits: {EDGES.get(now.edge_rule, now.edge_rule).lower()}": lambda one: one.edge_rule,
        "other weights": lambda one: one.weights,
        _layers_words(now): lambda one: one.quantization_settings.get(BITS) or {},
        "other test images": lambda one: one.data,
    }  # fmt: skip
    parts = [words for words, of in phrases.items() if of(before) != of(now)]
    for kind in KINDS:
        if getattr(before, kind) == getattr(now, kind):
            parts += _settings(before, now, kind, labels, effort=effort)
    if not parts and before.contents != now.contents:
        parts.append("other content of the same files")
    return parts


def _layers_words(recipe: Recipe) -> str:
    """Which layers have bits of their own."""
    given: dict[str, dict[str, int]] = recipe.quantization_settings.get(BITS) or {}
    named = [
        f"{path} at {bits} bits" for by_path in given.values() for path, bits in by_path.items()
    ]
    if len(named) > 1:
        return f"bits of their own in {len({one.split(' at ')[0] for one in named})} layers"
    return named[0] if named else "no layer with bits of its own"


def _settings(
    before: Recipe, now: Recipe, kind: str, labels: dict[tuple[str, str], str], *, effort: bool
) -> list[str]:
    old, new = (getattr(one, f"{kind}_settings") for one in (before, now))
    parts = []
    for name in new:
        if (
            name == BITS
            or name not in old
            or old[name] == new[name]
            or (effort and name in ("steps", "batch"))
        ):
            continue
        label = labels.get((getattr(now, kind), name), name.replace("_", " "))
        parts.append(_setting(label, name, new[name]))
    return parts


def _setting(label: str, name: str, value: Any) -> str:
    label = label[:1].lower() + label[1:] if label[1:2].islower() else label
    if isinstance(value, bool):
        return f"{'with' if value else 'without'} {label}"
    if isinstance(value, float):
        return f"{label} {value:g}"
    return (
        f"{label}: {knob_words(name, str(value))}" if isinstance(value, str) else f"{label} {value}"
    )


def setting_labels(catalog: dict[str, Any]) -> dict[tuple[str, str], str]:
    """What each setting is called on the pages, by the method's name and its own."""
    return {
        (entry["name"], knob["name"]): str(knob["label"])
        for kind in NAMED.values()
        for entry in catalog.get(kind, [])
        for knob in entry["settings"]
    }
