"""The app in a real browser, with real runs: live without a remount, safe to reload, steerable, forked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.run import catalog
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import make_recipe
from engine.run.workers import launch
from tests.app.browser import (
    CHROMIUM,
    COLUMNS,
    MARKS,
    PATIENCE,
    ROOT,
    WALL_STEP,
    browsing,
    is_blank,
    playwright,
    rest,
    served,
    until,
)

__all__ = ["CHROMIUM", "COLUMNS", "PATIENCE", "ROOT", "_until"]
_until = until
pytestmark = MARKS

MARK = (
    """() => { for (const e of document.querySelectorAll(".js-plotly-plot")) e.marked = true; }"""
)
CHARTS = """() => document.querySelectorAll(".js-plotly-plot").length"""
ALL_MARKED = """() => { const found = [...document.querySelectorAll(".js-plotly-plot")];
  return found.length >= 2 && found.every(e => e.marked); }"""
ZOOM = """() => Plotly.relayout(document.querySelector(".js-plotly-plot"),
  {"yaxis.range": [5.5, 1.5]})"""
ZOOMED = """() => document.querySelector(".js-plotly-plot").layout.yaxis.range"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def page() -> Iterator[Any]:
    with browsing(viewport={"width": 1400, "height": 1600}) as found:
        yield found


def test_a_run_is_started_watched_reloaded_cancelled_and_resumed(page: Any, address: str) -> None:
    page.goto(address)
    page.locator(".st-key-card-nearest-2 button").click()
    page.wait_for_url("**/run?run=*")
    page.get_by_role(
        "tab", name="Images"
    ).click()  # its point is the quantizer: it opened on Layers
    until(lambda: page.evaluate(COLUMNS) >= 2 and page.evaluate(WALL_STEP))

    until(lambda: page.evaluate(CHARTS) >= 2)  # what comes later was not mounted anew
    page.evaluate(MARK)
    page.evaluate(ZOOM)
    columns, step = page.evaluate(COLUMNS), page.evaluate(WALL_STEP)
    until(lambda: page.evaluate(COLUMNS) > columns and page.evaluate(WALL_STEP) != step)
    assert page.evaluate(ALL_MARKED), "a chart was mounted anew"
    assert page.evaluate(ZOOMED) == [5.5, 1.5]

    pill = page.locator(".pill")
    page.locator("button[data-do=pause]").click()
    playwright.expect(pill).to_have_text("paused")
    page.wait_for_timeout(500)
    columns = page.evaluate(COLUMNS)
    page.locator("button[data-do=step]").click()
    until(lambda: page.evaluate(COLUMNS) == columns + 1)
    page.locator("button[data-do=pause]").click()
    playwright.expect(pill).to_have_text("running")

    where = page.url
    page.reload()
    until(lambda: page.evaluate(COLUMNS) >= columns and page.evaluate(WALL_STEP))
    assert page.url == where
    until(lambda: page.evaluate(CHARTS) >= 2)  # what comes later was not mounted anew
    page.evaluate(MARK)

    page.locator("button[data-do=cancel]").click()
    playwright.expect(pill).to_have_text("cancelled")
    playwright.expect(page.get_by_text("This run was cancelled")).to_be_visible()
    columns = page.evaluate(COLUMNS)
    page.get_by_role("button", name="Resume this run").click()
    playwright.expect(pill).to_have_text("running")
    until(lambda: page.evaluate(COLUMNS) > columns)
    assert page.evaluate(ALL_MARKED), "a chart was mounted anew"
    assert page.wrongs == []


def test_no_page_goes_blank_or_stale_while_a_run_is_steered_and_forked(
    page: Any, address: str, tmp_path: Path
) -> None:
    run = _slow_run(tmp_path)
    pill, chosen = (
        page.locator(".pill"),
        page.locator(".st-key-head [data-testid=stSelectbox] input").first,
    )
    page.goto(f"{address}/run?run={run.run_id}&tab=images")
    until(lambda: page.evaluate(COLUMNS) >= 2, "the map")
    page.locator("button[data-do=pause]").click()
    playwright.expect(pill).to_have_text("paused")
    until(lambda: "· paused" in chosen.input_value(), "paused in the menu")
    columns = page.evaluate(COLUMNS)
    page.locator("button[data-do=slow]").click()  # a pace is no wish to go on
    page.wait_for_timeout(1500)
    playwright.expect(pill).to_have_text("paused")
    assert page.evaluate(COLUMNS) == columns

    page.locator(".st-key-fork button").first.click()
    changed = page.get_by_role("textbox", name="Weight of the statistics")
    changed.fill("0.5")
    changed.press("Enter")
    page.get_by_role("button", name="Fork here").click()
    page.wait_for_url("**/runs?*runs=*")
    page.get_by_text("How did the images grow?").wait_for()
    page.wait_for_timeout(3000)  # what the run told of its going on has come by now
    assert "/runs" in page.url
    assert not is_blank(page)
    assert page.get_by_text("different layers").count() == 0

    for view in (
        "Start",
        "Networks",
        "Evidence",
        "Runs",
        "Run",
    ):
        page.get_by_test_id("stTopNavLink").filter(has_text=view).first.click()
        path = "/" if view == "Start" else f"/{view.lower()}"
        page.wait_for_url(
            lambda url, path=path: urlsplit(url).path == path
        )  # not the page that is left
        page.wait_for_timeout(300)
        rest(page)
        assert not is_blank(page), view
    page.goto(f"{address}/run?run={run.run_id}&tab=images")
    pill.wait_for()
    page.locator("button[data-do=cancel]").click()
    page.get_by_text("This run was cancelled").wait_for()
    playwright.expect(pill).to_have_text("cancelled")
    until(lambda: "· cancelled" in chosen.input_value(), "cancelled in the menu")
    assert page.wrongs == []


def _slow_run(runs: Path) -> RunFolder:
    recipe = make_recipe(
        catalog.load(runs), model="resnet20-fashion", synthesis="genie", quantization="nearest",
        weight_bits=4, activation_bits=4, preset="quick", images=16, synthesis_settings={"steps": 300},
    )  # fmt: skip
    folder = launch.start(recipe, runs)
    launch.set_pace(folder, 0.2)
    return folder


def test_scrubbing_happens_in_the_browser_and_lands_in_the_address(
    page: Any, address: str, tmp_path: Path
) -> None:
    from tests.app.fabricate import Fabricated, fabricate

    run = fabricate(tmp_path, Fabricated()).run_id
    page.goto(f"{address}/run?run={run}&step=11&layer=layer1.0.bn1")
    until(lambda: page.evaluate(WALL_STEP) == "11")
    playwright.expect(page.locator(".qs-title")).to_contain_text("layer1.0.bn1 · step 11")
    page.locator("canvas.wall").press("ArrowRight")
    until(lambda: page.evaluate(WALL_STEP) == "16")
    playwright.expect(page.locator(".qs-title")).to_contain_text("layer1.0.bn1 · step 16")
    page.wait_for_url("**step=16**")
    page.reload()
    until(lambda: page.evaluate(WALL_STEP) == "16")


def test_page_and_python_draw_the_same_chart(page: Any, address: str, tmp_path: Path) -> None:
    """The rules in bindings.js against those in bindings.py, on every event of a whole run."""
    from app.charts.bindings import extended
    from app.charts.images import synthesis
    from app.charts.layers import layer_errors, reconstruction
    from app.run_files.history import read_history
    from tests.app.fabricate import Fabricated, fabricate

    events = read_history(fabricate(tmp_path, Fabricated())).events
    events += [event | {"step": 30} for event in events if event.get("step") == 35]
    started = next(event for event in events if event["kind"] == "run-started")
    charts = [
        synthesis.gap_map(started["bn_layers"]),
        synthesis.losses(),
        synthesis.teacher_view(),
        layer_errors.layer_bars(started["layers"]),
        layer_errors.flipped_bars(started["layers"]),
        reconstruction.block_at_work(),
        reconstruction.block_multiples(started["blocks"]),
        reconstruction.judging(),
    ]
    page.goto(f"{address}/api/health")
    script = """async ([chart, events]) => {
      const { extend } = await import("/api/ui/test/plots/bindings.js");
      for (const event of events) extend(chart.figure, chart.bindings, event);
      return chart.figure;
    }"""
    for chart in charts:
        plain = {"figure": chart.figure, "bindings": chart.bindings}
        drawn = page.evaluate(script, [plain, events])
        assert drawn == extended(chart, events).figure
