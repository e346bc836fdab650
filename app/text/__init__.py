"""Explanations in Markdown, one concept a file, in folders by what they are of; terms/ is the glossary.

Each is written once: it is the help where its term is first met, and a line of the glossary. A file's
name is the concept's, whatever folder it is in, so no two are called alike.
"""

from functools import cache
from pathlib import Path

from engine.core.percent import unbroken

HERE = Path(__file__).parent
GLOSSARY = {  # the terms by the names of their files, in an order in which each needs only those before it
    "zero-shot": "Zero-shot quantization",
    "teacher-network": "Teacher, or float network",
    "student": "Student, or quantized network",
    "quantize": "Quantize",
    "bits": "W2A4, W4A4 and the like",
    "grid": "Grid",
    "range-term": "Range",
    "rounding": "Rounding",
    "calibrate": "Calibrated, calibration images",
    "batchnorm": "BatchNorm statistics",
    "synthesis": "Synthesis",
    "gap-term": "Gap",
    "block-term": "Block",
    "reconstruction-term": "Reconstruction",
    "top-1": "Top-1, accuracy",
    "points": "Points",
    "chance": "Not distinguishable",
    "agreement": "Agreement",
    "sqnr-term": "SQNR",
    "sensitivity": "Sensitivity",
    "cliff": "Cliff",
    "provenance-term": "Provenance of an error",
    "margin": "Margin",
    "calibration-error": "Calibration error",
    "recipe": "Recipe",
    "seed": "Seed",
    "control": "Control",
    "fork": "Fork",
}


@cache
def explain(concept: str) -> str:
    """The explanation of a concept, as Markdown."""
    return unbroken(_files()[concept].read_text().strip())


@cache
def _files() -> dict[str, Path]:
    return {file.stem: file for file in HERE.glob("*/*.md")}
