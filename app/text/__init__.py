"""Explanations in Markdown, one concept a file."""

from functools import cache
from pathlib import Path


@cache
def explain(concept: str) -> str:
    """The explanation of a concept, as Markdown."""
    return (Path(__file__).parent / f"{concept}.md").read_text()


def words() -> dict[str, str]:
    """The words of the field that the pages use, each with its explanation."""
    entries = (part.split("**: ", 1) for part in explain("words").split("\n\n"))
    return {word.removeprefix("**"): text for word, text in entries}
