"""Explanations in Markdown, one concept a file."""

from functools import cache
from pathlib import Path


@cache
def explain(concept: str) -> str:
    """The explanation of a concept, as Markdown."""
    return (Path(__file__).parent / f"{concept}.md").read_text()
