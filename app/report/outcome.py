"""What came out of a run, and how its images grew."""

import base64
from typing import Any

from app.charts.bindings import extended
from app.charts.images.synthesis import gap_map, losses
from app.charts.outcomes.results import Accuracy, accuracies
from app.charts.style import FLOAT, QUANTIZED, LiveFigure
from app.panels.shared import measured
from app.report.section import Section, size
from app.report.story import Story
from app.wording.data_words import data_words
from engine.core.percent import percent

MOST_FRAMES = 60


def summary(story: Story) -> Section:
    """What was asked, what was lost, what was saved."""
    result, recipe = story.result, story.recipe
    sizes = result["size_bytes"]
    smaller = sizes["fp32"] / sizes["quantized"]
    section = Section(title="What was asked, and what came out")
    section.says.append(
        f"The network {recipe.model} was brought to {story.bits}: {_bits(story, 'weight_bits')} bits for a "
        f"weight, {_bits(story, 'activation_bits')} for an activation, 32 before. {data_words(recipe)}"
    )
    before, after = result.get("fp32_top1"), result.get("quantized_top1")
    if before is not None and after is not None:
        section.says.append(_lost(result, before, after))
        points = f"{100 * (after - before):+.2f} points"
        section.numbers += [("Float top-1", percent(before, 2), f"{result['test_images']:,} test images"),
                            ("Quantized top-1", percent(after, 2), points)]  # fmt: skip
        section.charts += _bands(result, before, after)
    if measured.metrics(result):
        section.says.append(measured.sentence(result).replace("**", ""))
        section.numbers += [(label, value, "") for label, value, _ in measured.metrics(result)]
    if result.get("agreement") is not None:
        words = f"of {result['test_images']:,} images ({result['test_set']})"
        section.numbers.append(("Same answer", percent(result["agreement"], 2), words))
    section.numbers.append(("Size", size(sizes["quantized"]), f"{smaller:.1f} times smaller"))
    section.says.append(
        f"Its weights take {size(sizes['quantized'])} in place of {size(sizes['fp32'])}, "
        f"{smaller:.1f} times less."
    )
    return section


def _bits(story: Story, kind: str) -> str:
    """The recipe's bits; from the fewest to the most where layers were given bits of their own."""
    named = (story.recipe.quantization_settings.get("bits") or {}).get(kind)
    if not named:
        return str(getattr(story.recipe, kind))
    told = [one[kind] for one in story.result["layers"] if one.get(kind)]
    return f"{min(told)} to {max(told)}"


def _lost(result: dict[str, Any], before: float, after: float) -> str:
    drop = result.get("top1_drop") or {}
    words = (
        f"Of {result['test_images']:,} test images it names {percent(after, 2)} rightly, the float network "
        f"{percent(before, 2)}."
    )
    if {"lost", "won", "band"} <= drop.keys():
        low, high = drop["band"]
        words += (
            f" {drop['lost']} images that were right are wrong now, {drop['won']} that were wrong are "
            "right."
        )
        if low <= 0 <= high:
            words += " That difference may be chance: the test cannot tell the two apart."
    return words


def _bands(result: dict[str, Any], before: float, after: float) -> list[LiveFigure]:
    bands = result.get("top1_band") or {}
    if not {"fp32", "quantized"} <= bands.keys():
        return []
    rows = [
        ("float", before, bands["fp32"], FLOAT),
        ("quantized", after, bands["quantized"], QUANTIZED),
    ]
    return [
        accuracies([Accuracy(name=n, top1=t, low=b[0], high=b[1], colour=c) for n, t, b, c in rows])
    ]


def film(story: Story) -> Section:
    """The images as they grew, and how the layers came to agree."""
    section = Section(title="Images out of statistics")
    shots = story.shots(MOST_FRAMES)
    for step, file in shots:
        picture = base64.b64encode(file.read_bytes()).decode()
        section.film.append({"step": step, "picture": f"data:image/webp;base64,{picture}"})
    gaps = [e for e in story.of("stepped", stage="synthesis") if e.get("bn_gap")]
    gap = story.result.get("bn_gap") or {}
    if gaps:
        section.charts.append(extended(gap_map(story.started["bn_layers"]), gaps))
        section.charts.append(extended(losses(), gaps))
    if gap.get("first") and gap.get("last"):
        section.says.append(
            "Each layer of the network remembers the mean and spread that its training images had. The "
            f"images were made to agree with them: the gap fell from {gap['first']:.3g} to {gap['last']:.3g}."
        )
    if not section.film and not gaps:
        section.says.append(
            "These images were not grown step by step, so there is no film of them."
        )
    return section
