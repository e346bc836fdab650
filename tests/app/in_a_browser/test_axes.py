"""Logarithmic axes in a real browser: their numbers are of one size, and none lies upon another."""

import itertools

import pytest

from app.charts.library import plotly_script
from app.charts.style import LOG, axis, layout
from tests.app.browser import MARKS, browsing

pytestmark = MARKS
SPANS = [(1e-7, 3), (0.002, 0.9), (0.0031, 0.0045), (0.03, 0.31), (1, 9000), (0.5, 3), (1e-4, 4e-3)]
NUMBERS = """async ([low, high, layout]) => {
  const box = document.createElement("div");
  document.body.append(box);
  await Plotly.newPlot(box, [{ y: [low, high] }], layout);
  return [...box.querySelectorAll(".ytick text")].map((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return [getComputedStyle(one).fontSize, top, bottom, one.textContent];
  });
}"""


@pytest.fixture(scope="module")
def page() -> object:
    with browsing() as found:
        found.add_script_tag(content=plotly_script())
        yield found


@pytest.mark.parametrize("span", SPANS)
def test_numbers_are_of_one_size_and_apart(page: object, span: tuple[float, float]) -> None:
    for height in (150, 260, 480):
        found = page.evaluate(NUMBERS, [*span, layout(height, yaxis=axis("loss", **LOG))])
        assert len(found) >= 2
        assert len({size for size, *_ in found}) == 1
        assert all(float(text.replace("−", "-")) > 0 for *_, text in found)
        for (_, low, *_), (_, _, bottom, _) in itertools.pairwise(found):
            assert bottom <= low
