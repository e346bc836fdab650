"""What somebody zoomed into on a run at work stays so: on every live chart of every tab, its end included."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.browser import MARKS, browsing, rest, served, until
from tests.app.in_a_browser.test_live_pages import Written, opened
from tests.app.places import TABS

pytestmark = MARKS
# Of a tab: the event from which on its charts are at work, one that brings each of them more, and the charts.
AT_WORK = {
    "images": (
        {"kind": "stepped", "step": 20},
        {"kind": "stepped", "step": 30},
        ["gap", "losses", "teacher", "channels"],
    ),
    "layers": (
        {"kind": "layer-measured", "path": "layer1.0.conv1"},
        {"kind": "layer-measured", "path": "fc"},
        ["bars", "block", "policy"],
    ),
    "answers": (
        {"kind": "stepped", "part": "student", "step": 500},
        {"kind": "stepped", "part": "student", "step": 1000},
        ["judging"],
    ),
}
FOUND = """const drawn = () => Object.fromEntries([...document.querySelectorAll(".js-plotly-plot")]
  .filter((e) => e.clientWidth)
  .map((e) => [e.closest("[class*=st-key-]").className.match(/st-key-([a-z]+)/)[1], e]));
const axes = (e) => Object.keys(e._fullLayout).filter((name) => /^[xy]axis$/.test(name)).sort();
const ranges = (e) => axes(e).map((name) => e._fullLayout[name].range.map((end) => +(+end).toFixed(6)));"""
NAMES = "() => {" + FOUND + " return Object.keys(drawn()).sort(); }"
# The middle of a chart's first panel, to be pulled over by the pointer.
MIDDLE = (
    "(name) => {"
    + FOUND
    + """ const pad = drawn()[name].querySelector(".nsewdrag");
  pad.scrollIntoView({ block: "center", behavior: "instant" });
  const { left, top, width, height } = pad.getBoundingClientRect();
  return [left + width / 4, top + height / 4, left + 3 * width / 4, top + 3 * height / 4]; }"""
)
LOOK = (
    "() => {"
    + FOUND
    + """ window.zoomed = Object.fromEntries(Object.entries(drawn()).map(
  ([name, e]) => [name, { e, ranges: ranges(e), drawings: e.layout.datarevision }]));
  return Object.fromEntries(Object.entries(window.zoomed).map(([name, was]) => [name, was.ranges])); }"""
)
DRAWN_ON = "() => Object.values(window.zoomed).every(({ e, drawings }) => e.layout.datarevision > drawings)"
LOST = (
    "() => {"
    + FOUND
    + """ return Object.entries(window.zoomed).filter(
  ([name, was]) => drawn()[name] !== was.e || String(ranges(was.e)) !== String(was.ranges))
  .map(([name]) => name); }"""
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str, Path]]:
    runs = tmp_path_factory.mktemp("runs")
    with served(runs) as address, browsing() as page:
        yield page, address, runs


@pytest.mark.parametrize("tab", TABS)
def test_zoom_is_kept_on_every_live_chart(place: tuple[Any, str, Path], tab: str) -> None:
    page, address, runs = place
    begun, more, charts = AT_WORK[tab]
    run = Written(runs, seed=TABS.index(tab))
    run.to(**begun)
    opened(page, address, tab, run)
    if tab == "images":
        page.get_by_text("For experts: the losses").click()
    until(lambda: page.evaluate(NAMES) == sorted(charts), f"the charts {charts}")
    before = page.evaluate(LOOK)
    for name in charts:
        left, top, right, bottom = page.evaluate(MIDDLE, name)
        page.mouse.move(left, top)
        page.mouse.down()
        page.mouse.move(right, bottom, steps=3)
        page.mouse.up()
    page.wait_for_timeout(500)
    zoomed = page.evaluate(LOOK)
    assert [name for name in charts if zoomed[name] == before[name]] == []
    run.to(**more)
    page.wait_for_function(DRAWN_ON)
    assert page.evaluate(LOST) == []
    run.end("done")
    page.locator(".pill", has_text="finished").wait_for()
    rest(page)
    page.wait_for_timeout(1500)
    assert page.evaluate(LOST) == []
    assert page.wrongs == []
