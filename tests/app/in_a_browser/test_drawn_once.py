"""Charts in a real browser are drawn once: room for what stands beside their axes is made before."""

from pathlib import Path

import pytest

from tests.app.browser import MARKS, browsing, rest, served
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import TABS, address_of

pytestmark = MARKS
# By how many pixels the axes of each chart needed more room than it was given: then it was drawn twice.
TOO_NARROW = """() => [...document.querySelectorAll(".js-plotly-plot")].map((plot) => {
  const [given, taken] = [plot.layout.margin, plot._fullLayout._size];
  return Math.max(taken.l - given.l, taken.b - given.b);
}).filter((missing) => missing > 0.5)"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fabricate(tmp_path_factory.mktemp("runs"), Fabricated(views=True))


def test_charts_have_room_for_names_and_numbers_before_they_are_drawn(run) -> None:
    runs: Path = run.path.parent
    with served(runs) as address, browsing() as page:
        for tab in TABS:
            page.goto(f"{address}/{address_of(tab, run=run.run_id)}")
            page.locator(".js-plotly-plot .main-svg").first.wait_for()
            rest(page)
            page.wait_for_timeout(1500)  # the charts are drawn
            assert page.evaluate(TOO_NARROW) == [], tab
        assert page.wrongs == []
