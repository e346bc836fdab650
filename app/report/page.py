"""The page of a report: everything in one file, nothing of it able to run but what is written here.

Texts from outside (names of layers, classes, files) are escaped by the template, in figures too; a policy
in the page's head lets only these scripts run, by their sha256, and lets nothing be fetched.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from app.charts.library import plotly_script
from app.report.section import Section
from app.report.sections import SECTIONS
from app.report.story import Story, read_story
from engine.core.errors import UserError
from engine.export.formats.report import MOST_BYTES
from engine.run.folders.version import engine_version

_HERE = Path(__file__).parent
_NUMBERS = _HERE.parent / "components" / "plots" / "csv.js"
# Where figures hold texts from outside, which Plotly reads as a little HTML.
_TEXTS = ("x", "y", "text", "ticktext", "tickvals", "customdata", "categoryarray", "name")


def write_report(
    folder: Path, file: Path, wanted: Sequence[str] = (), proof: Path | None = None
) -> None:
    """Write the report of the run in the folder; UserError for what it cannot be made of.

    `wanted`: the sections, by name and in this order; without, all of them. `proof`: what was found of the
    exported file, where that was looked at.
    """
    for name in wanted:
        if name not in SECTIONS:
            raise UserError(f"section {name!r} is not known; choose of {', '.join(SECTIONS)}")
    story = read_story(folder, proof)
    made = [(name, SECTIONS[name](story)) for name in wanted or SECTIONS]
    page = render(story, {name: section for name, section in made if section is not None})
    data = page.encode()
    if len(data) > MOST_BYTES:
        raise UserError(
            f"the report of run {story.folder.run_id!r} would have {len(data):,} bytes, and {MOST_BYTES:,} "
            "are the most; choose sections without the film: --sections summary,layers,costs,again"
        )
    file.write_bytes(data)


def render(story: Story, sections: Mapping[str, Section]) -> str:
    """The page as text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    # A module of the pages, made a plain script: a file from a disk may import nothing.
    numbers = _NUMBERS.read_text().replace("export function", "function")
    scripts = [_plotly(), f"{numbers}\n{(_HERE / 'report.js').read_text()}"]
    figures = [chart.figure for section in sections.values() for chart in section.charts]
    films = [section.film for section in sections.values() if section.film]
    template = environment.from_string((_HERE / "report.html").read_text())
    return template.render(
        title=f"{story.recipe.model} at {story.bits}",
        run=story.folder.run_id,
        engine=engine_version(),
        sections=sections,
        style=Markup((_HERE / "report.css").read_text()),
        policy=_policy(scripts),
        scripts=[Markup(script) for script in scripts],
        data=_as_data({"figures": [_escaped(figure) for figure in figures], "films": films}),
    )


@cache
def _plotly() -> str:
    """Plotly's own script, with no way to end its element early."""
    return plotly_script().replace("</script", "<\\/script")


def _policy(scripts: Sequence[str]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {hashes}"
    )


def _as_data(value: Any) -> Markup:
    """JSON that no element around it can be left by."""
    text = json.dumps(_finite(value), separators=(",", ":"))
    for character, written in (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e")):
        text = text.replace(character, written)
    return Markup(text)


def _finite(value: Any) -> Any:
    """Without the numbers that JSON has not."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value


def _escaped(figure: Any, texts: bool = False) -> Any:  # noqa: FBT001
    """The figure with the texts of its data escaped; templates are ours, and stay."""
    if isinstance(figure, dict):
        return {key: _escaped(one, key in _TEXTS) for key, one in figure.items()}
    if isinstance(figure, (list, tuple)):
        return [_escaped(one, texts) for one in figure]
    return html.escape(figure, quote=False) if texts and isinstance(figure, str) else figure
