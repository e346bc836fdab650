"""Why a run's network errs, where that was asked: origins of errors, answers that change, bits of layers."""

from typing import Any

from app.charts.layers import allocation as chosen_bits
from app.charts.layers import layer_costs
from app.charts.why import bits as by_width
from app.charts.why import growth as growing
from app.charts.why import predictions, provenance
from app.report.section import Picture, Section
from app.report.story import Story
from engine.core.percent import BAND, percent
from engine.run.questions.why.fewer_bits.fader import CLIFF_DB

MOST_PICTURES = 24


def origins(story: Story) -> Section | None:
    """Where every layer's error comes from."""
    found = story.answer("explain")
    if found is None:
        return None
    section = Section(title="Where the errors come from")
    section.says += [found["sentence"], *found["notes"]]
    section.says.append(f"On {found['images']:,} images ({found['image_set']}).")
    section.charts.append(provenance.stacked(found["layers"]))
    parts = list(provenance.PARTS)
    section.table = [["layer", *(provenance.PARTS[part][0] for part in parts), "reading"]]
    for row in found["layers"]:
        shares = [provenance.signed(row["share"][p]) if row["share"] else "" for p in parts]
        section.table.append([row["path"], *shares, row["verdict"]])
    return section


def costs_of_layers(story: Story) -> Section | None:
    """Which layer costs the answer most."""
    found = story.analysis
    if found is None:
        return None
    section = Section(title="Which layer costs the answer most")
    section.says.append(
        f"On {found['images']} images of {found['test_set']}: what comes back where one layer alone "
        "is float again."
    )
    section.charts.append(layer_costs.gains(found))
    return section


def flips(story: Story) -> Section | None:
    """The images whose answer changes."""
    found = story.answer("predictions")
    if found is None:
        return None
    low, high = found["agreement_band"]
    section = Section(title="Which answers change")
    section.says += [
        f"{found['sentence']} Agreement {percent(found['agreement'], 2)} "
        f"({percent(low, 2)} to {percent(high, 2)}, {BAND}), on {found['image_set']}.",
        predictions.sure_words(found).replace("**", ""),
        *found["notes"],
    ]
    section.numbers.append(
        ("Other answers", f"{len(found['flipped']):,}", f"of {found['images']:,} images")
    )
    pictured = [one for one in found["flipped"] if str(one["image"]) in found["pictures"]]
    if pictured:
        section.says.append(
            "An arrow leads from the float network's answer to the quantized one's; a margin is how far the "
            "first class leads before the second, from 0 to 1. Those of which the float network was surest "
            "come first."
        )
    section.pictures += [_picture(found, one) for one in pictured[:MOST_PICTURES]]
    section.charts += [
        predictions.by_class(found["by_class"], found["classes"]),
        predictions.margins(found["margins"]),
    ]
    if found["reliability"] is not None:
        section.charts.append(predictions.reliability(found["reliability"], found["ece"]))
    _grown(section, found)
    return section


def _picture(found: dict[str, Any], one: dict[str, Any]) -> Picture:
    """A changed image with both answers."""
    names = found["classes"]
    before, after = (predictions.class_name(one[who], names) for who in ("teacher", "student"))
    label = f"is {predictions.class_name(one['label'], names)}; " if "label" in one else ""
    return Picture(
        address=found["pictures"][str(one["image"])],
        words=f"{before} → {after}",
        more=f"no. {one['image']:,}, {label}margins {one['margin_teacher']:.2f} and "
        f"{one['margin_student']:.2f}",
    )


def _grown(section: Section, found: dict[str, Any]) -> None:
    """Of the first image that was followed: where its error grows."""
    images = found["growth"]["images"]
    for image, shares in list(images.items())[:1]:
        section.says.append(
            f"Image {int(image):,} through the layers: "
            f"{growing.growth_words(found['growth'], shares)}".replace("`", "")
        )
        section.charts.append(growing.growth(found["growth"], shares))


def bits(story: Story) -> Section | None:
    """How many bits each layer needs, where every width was measured."""
    found = story.answer("bits")
    if found is None:
        return None
    section = Section(title="How few bits each layer can have")
    below = [one["path"] for one in found["layers"] if one["cliff"] is not None]
    section.says.append(
        f"Each layer by itself at 2 to 8 bits: {len(below)} of {len(found['layers'])} layers come under "
        f"{CLIFF_DB:.0f} dB, at 2 bits or at more. The line in the chart shows where."
    )
    section.says += found["notes"]
    section.charts.append(by_width.matrix(found["layers"]))
    section.table = [["layer", "fewest bits it needs", *(f"at {w}, dB" for w in _widths(found))]]
    for one in found["layers"]:
        measured = [f"{one['sqnr_db'][width]:.1f}" for width in _widths(found)]
        section.table.append([one["path"], by_width.needed(one["cliff"]), *measured])
    return section


def _widths(found: dict[str, Any]) -> list[str]:
    return list(found["layers"][0]["sqnr_db"]) if found["layers"] else []


def allocation(story: Story) -> Section | None:
    """Where the bits went, of a run that chose them by measuring."""
    told = story.of("bits-chosen")
    if not told:
        return None
    chosen = told[-1]
    report = chosen_bits.in_todays_words(chosen["report"])
    section = Section(title="Where the bits went")
    words = [chosen_bits.allocation_words(report)]
    if report.get("additivity"):
        words.append(chosen_bits.additivity_words(report["additivity"]))
    section.says += [said.replace("**", "") for said in words]
    section.charts += [
        chosen_bits.front(report),
        chosen_bits.bits(chosen["weight_bits"], report, chosen.get("activation_bits")),
    ]
    if "kernels" in report:
        section.charts.append(chosen_bits.kernels(report))
    return section
