"""The layers of a run's network, and what a runtime makes of the exported file."""

from typing import Any

from app.charts.bindings import extended
from app.charts.layers.layer_errors import layer_bars
from app.charts.outcomes.verdicts import inherited_verdict, layers_verdict
from app.report.section import Section, size
from app.report.story import Story
from engine.core.percent import percent

MOST_LISTED = 100  # images that the file answers otherwise


def layers(story: Story) -> Section:
    """Every layer with its error and its bits."""
    measured = story.measured
    section = Section(title="The layers")
    said = [
        layers_verdict(measured, len(story.result["layers"]), story.result, at_work=False),
        inherited_verdict(measured),
    ]
    section.says += [words.replace("**", "").replace("`", "") for words in said if words]
    section.charts.append(extended(layer_bars(story.result["layers"]), measured))
    section.table = [
        ["layer", "weight bits", "input bits", "SQNR alone, dB", "with those before, dB", "stored"]
    ]
    for layer in story.result["layers"]:
        decibels = [layer.get(f"sqnr_{k}_db") for k in ("local", "accumulated")]
        section.table.append([
            str(layer["path"]), str(layer["weight_bits"]), str(layer["activation_bits"] or "float"),
            *("" if db is None else f"{db:.1f}" for db in decibels),
            size(layer["stored_bits"] / 8) if layer.get("stored_bits") else "",
        ])  # fmt: skip
    return section


def proof(story: Story) -> Section | None:
    """What a runtime makes of the exported file."""
    found = story.proof
    if found is None:
        return None
    section = Section(title="The exported file, run")
    spent, agreed = found["latency_ms"], found["agreement"]
    if agreed is not None:
        section.numbers.append(
            ("Same class as the student", percent(agreed, 2), f"of {found['images']:,} images")
        )
    section.numbers.append(("Largest difference", f"{found['largest_logit_difference']:.2g}",
                            f"of outputs up to {found['largest_logit']:.3g}"))  # fmt: skip
    ratio = spent["quantized"] / spent["float"]
    section.numbers.append(
        ("One image", f"{spent['quantized']:.2f} ms", f"float: {spent['float']:.2f} ms")
    )
    section.says.append(
        f"{found['runtime']} ran the ONNX file on {found['set']}, {spent['threads']} threads. It takes "
        + (
            f"{ratio:.2f} times as long as the float file: slower."
            if ratio > 1
            else f"{ratio:.2f} of the float file's time."
        )
    )
    if found["differing"]:
        ties = sum(bool(one["tie"] and one["tie"]["within_rounding"]) for one in found["differing"])
        section.says.append(
            f"{len(found['differing'])} images get another class than in the app; {ties} of them because a "
            "value lies so near the middle of two levels that the order of a sum decides."
        )
    section.table = [["end of block", "largest difference", "share of the largest value"]]
    section.table += [[e["path"], f"{e['largest_difference']:.2g}", f"{e['share_of_largest_value']:.2g}"]
                      for e in found["ends"]]  # fmt: skip
    return section


def differing(story: Story) -> Section | None:
    """Each image to which the file gives another class, with both margins and the tie that explains it."""
    found = (story.proof or {}).get("differing")
    if not found:
        return None
    section = Section(title="Images that the file answers otherwise")
    section.says.append(
        "A margin is how far each one's own answer leads before the other's, in the network's outputs."
    )
    section.table = [
        [
            "image",
            "student's class",
            "margin",
            "file's class",
            "margin",
            "first rounded otherwise at",
        ]
    ]
    for one in found[:MOST_LISTED]:
        both = [f"{one[who][key]:{form}}" for who in ("student", "file")
                for key, form in (("class", "d"), ("margin", ".2g"))]  # fmt: skip
        section.table.append([f"{one['image']:,}", *both, _where(one["tie"])])
    if len(found) > MOST_LISTED:
        section.says.append(f"The first {MOST_LISTED} of {len(found):,}; proof.json has all.")
    return section


def _where(tie: dict[str, Any] | None) -> str:
    """The input at which the two first round differently, and whether the order of a sum explains it."""
    if tie is None:
        return "none found"
    apart = f"{tie['values']} values, {tie['difference']:.1g} steps apart"
    return f"{tie['path']}: {apart}{'' if tie['within_rounding'] else ', no tie'}"
