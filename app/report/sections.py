"""The sections of a report by their names, in the order in which they are told."""

from collections.abc import Callable

from app.report.after import again, codes, costs
from app.report.inside import differing, layers, proof
from app.report.outcome import film, summary
from app.report.section import Section
from app.report.story import Story
from app.report.why import allocation, bits, costs_of_layers, flips, origins

SECTIONS: dict[str, Callable[[Story], Section | None]] = {
    "summary": summary, "film": film, "layers": layers, "allocation": allocation, "provenance": origins,
    "layer-costs": costs_of_layers, "bits": bits, "flips": flips, "proof": proof,
    "differing": differing, "codes": codes, "costs": costs, "again": again,
}  # fmt: skip
# What they are called where they are chosen.
TITLES = {
    "summary": "Summary", "film": "Images", "layers": "Layers", "allocation": "Where the bits went",
    "provenance": "Where errors come from", "layer-costs": "What each layer costs",
    "bits": "Fewest bits", "flips": "Answers that change", "proof": "Proof of the file",
    "differing": "Images that the file answers otherwise",
    "codes": "How codes are read", "costs": "Time and memory", "again": "How to run it again",
}  # fmt: skip
