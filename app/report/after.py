"""What a run took, how its codes are read, and how it is run again."""

import shlex

from app.report.section import Section
from app.report.story import Story
from engine.run.exports.export import loader
from engine.run.folders.opened import computed_as
from engine.run.questions.cached_answer import options


def codes(_story: Story) -> Section:
    """How the exported codes are read."""
    section = Section(title="Reading the codes without this project")
    section.says.append(
        "`export --codes` writes the integers themselves. This reads them, with numpy and safetensors alone:"
    )
    section.code = loader()
    return section


def costs(story: Story) -> Section:
    """Time, memory, arithmetic."""
    result = story.result
    section = Section(title="What it took")
    rows = [[f"seconds, {stage}", f"{spent:g}"] for stage, spent in result["seconds"].items()]
    if result.get("peak_memory_mb"):
        rows.append(["memory at most", f"{result['peak_memory_mb']:.0f} MB"])
    stored, arithmetic = result.get("stored_bits") or {}, result.get("bit_operations") or {}
    rows += [[f"stored bits, {name}", f"{bits:,}"] for name, bits in stored.items()]
    values = result.get("weight_values")
    if values:
        rows.append(["different values of all weights", f"{values['unique']:,}"])
        rows.append(["entropy of all weights, bits a weight", f"{values['entropy_bits']:.3f}"])
    rows += [
        [f"bit operations for an image, {name}", f"{count:.3g}"]
        for name, count in arithmetic.items()
    ]
    section.table = [["", ""], *rows, ["device", str(result.get("device", ""))]]
    return section


def again(story: Story) -> Section:
    """The recipe, and how to run it again."""
    recipe, started = story.recipe, story.started
    section = Section(title="How to run it again")
    words = ["python", "-m", "engine", "run", *options(recipe), "--seed", str(recipe.seed)]
    section.code = " ".join(map(shlex.quote, words))
    versions = " · ".join(
        f"{name} {version}" for name, version in started.get("versions", {}).items()
    )
    section.says.append(
        f"The same recipe is the same run: {computed_as(story.folder.path)}, seed {recipe.seed}. {versions}"
    )
    settings = {"model": recipe.model_settings, "synthesis": recipe.synthesis_settings,
                "quantization": recipe.quantization_settings}  # fmt: skip
    section.table = [["setting", "value"]]
    section.table += [[f"{kind}.{name}", str(value)] for kind, values in settings.items()
                      for name, value in sorted(values.items())]  # fmt: skip
    section.table += [[f"sha256 of {what}", digest] for what, digest in recipe.contents.items()]
    notes = [str(event["message"]) for event in story.of("noted")]
    section.says += notes
    return section
