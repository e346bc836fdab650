"""Readable words for recipes, sizes and times."""

import re
import time

from app.engine_calls.choices import title_of
from app.wording.data_words import bits_of
from engine.run.recipes.recipe import Recipe

NO_BREAK = "\N{NO-BREAK SPACE}"  # between a number and its unit
STATES = {
    "new": "not started",
    "starting": "starting",
    "queued": "waiting",
    "running": "running",
    "paused": "paused",
    "done": "finished",
    "failed": "failed",
    "cancelled": "cancelled",
    "lost": "lost",
    "damaged": "damaged",
}

EFFORTS = {"quick": "Quick", "standard": "Standard", "paper": "Paper"}  # presets, as they are told


_CODE = re.compile(r"((?<!`)(`+)(?!`)[^\n|]+?(?<!`)\2(?!`))")  # whole, on one line, in no table


def plain(text: object) -> str:
    """The text as Markdown in which nothing is a picture, a link, HTML or a formula; `code` stays code.

    For whatever a user wrote or named: a picture's address would be fetched by everybody who looks.
    """
    parts = _CODE.split(str(text))  # between two codes, a code, its backticks, and so on
    for k in range(0, len(parts), 3):
        parts[k] = re.sub(r"([\\\[\]<*$~])", r"\\\1", parts[k])
    return "".join(part for k, part in enumerate(parts) if k % 3 != 2)


def recipe_words(recipe: Recipe) -> str:
    """The recipe on one line: network, bits, images, quantizer."""
    return one_line(recipe.model, bits_of(recipe), recipe.synthesis, recipe.quantization)


def one_line(model: str, bits: str, synthesis: str, quantization: str) -> str:
    """The same, of their names."""
    return " · ".join(
        (
            title_of("models", model),
            bits,
            f"images: {title_of('synthesis', synthesis)}",
            f"quantizer: {title_of('quantization', quantization)}",
        )
    )


def size_words(size_bytes: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point."""
    return _scaled(size_bytes, (" B", " kB", " MB", " GB"))


def count_words(count: float) -> str:
    """A large number with the word that leaves one to three digits before the point."""
    return _scaled(count, ("", " thousand", " million", " billion"))


def _scaled(number: float, words: tuple[str, ...]) -> str:
    """Each of the words stands for a thousand of the one before it."""
    for word in words[:-1]:
        if number < 999.5:  # more would be rounded to 1e+03
            return f"{number:.3g}{word}"
        number /= 1000
    return f"{number:.3g}{words[-1]}"


def ago(time_s: float) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0.0, time.time() - time_s)
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds // length_s:.0f} {unit} ago"
    return "just now"


def time_words(seconds: float) -> str:
    """A length of time, rounded as an estimate deserves: "40 s", "3 min", "1 h 20 min"."""
    if seconds < 90:
        step = 5 if seconds >= 10 else 1
        return f"{max(1, step * round(seconds / step)):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes >= 600:
        return f"{round(minutes / 60)} h"
    hours, rest = divmod(5 * round(minutes / 5), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
