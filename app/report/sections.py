"""The sections of a report by their names, in the order in which they are told."""

from collections.abc import Callable

from app.report.after import again, codes, costs
from app.report.inside import layers, proof, provenance
from app.report.outcome import film, summary
from app.report.section import Section
from app.report.story import Story

SECTIONS: dict[str, Callable[[Story], Section | None]] = {
    "summary": summary, "film": film, "layers": layers, "provenance": provenance, "proof": proof,
    "codes": codes, "costs": costs, "again": again,
}  # fmt: skip
