"""A percent is a number, a space that no line breaks at, and the sign; in text as in charts."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from app.charts.library import plotly_script
from app.charts.outcomes.results import Accuracy, accuracies
from app.text import _files, explain
from engine.core.percent import percent, percents, unbroken

ROOT = Path(__file__).parents[2]
WRITTEN = re.compile(
    r"(?<![%{])\{[^{}]*:[.,\d]*%\}|\{[^{}]*f\} ?%(?!\{)"
)  # Plotly's templates have %{x:.1%}
PROSE = re.compile(r"\d %(?!\w)")
TICKS = ROOT / "app" / "components"


@pytest.mark.parametrize(
    ("share", "digits", "said"),
    [(0.941, 1, "94.1\u00a0%"), (1.0, 0, "100\u00a0%"), (0.94355, 2, "94.36\u00a0%")],
)
def test_a_share_is_a_number_a_space_and_the_sign(share: float, digits: int, said: str) -> None:
    assert percent(share, digits) == said


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.9253, 0.9249), ["92.53\u00a0%", "92.49\u00a0%"]),
        ((0.925, 0.93), ["92.5\u00a0%", "93.0\u00a0%"]),
        ((1 / 3, 0.5), ["33.33\u00a0%", "50.00\u00a0%"]),
    ],
)
def test_shares_beside_each_other_show_a_difference_that_is_told(
    shares: tuple[float, ...], said: list[str]
) -> None:
    assert percents(*shares) == said
    row = Accuracy(name="a", top1=shares[0], low=0.9, high=0.95, colour="red")
    assert (
        accuracies([row, replace(row, name="b", top1=shares[1])]).figure["data"][2]["text"] == said
    )


def test_no_sentence_writes_a_percent_of_its_own() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("app", "engine")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "percent.py"
        for line in path.read_text(encoding="utf-8").splitlines()
        if WRITTEN.search(line)
    ]
    assert found == []


def test_no_line_of_a_page_breaks_before_the_sign() -> None:
    assert unbroken("30 % of 100 %; 5 %d") == "30\u00a0% of 100\u00a0%; 5 %d"
    broken = [
        f"{path.relative_to(ROOT)}: {text}"
        for folder in ("app", "engine")
        for path in (ROOT / folder).rglob("*.py")
        if "commands" not in path.parts  # a terminal breaks lines where it likes
        for text in spoken(path)
        if PROSE.search(text)
    ]
    assert broken == []
    assert [concept for concept in _files() if PROSE.search(explain(concept))] == []


def spoken(path: Path) -> list[str]:
    """The texts in a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    return [
        one.value for one in ast.walk(tree)
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in silent
    ]  # fmt: skip


def test_no_component_writes_a_percent_or_bytes_of_its_own() -> None:
    own = re.compile(r"\} %`|[`'\"] (kB|MB|%)[`'\"]")
    found = [
        path.name for path in TICKS.glob("*/*.js")
        if path.name != "numbers.js" and own.search(path.read_text(encoding="utf-8"))
    ]  # fmt: skip
    assert found == []


def test_charts_write_it_so_too() -> None:
    assert '.percent===void 0?"\\xa0%":' in plotly_script().replace("'", '"')
