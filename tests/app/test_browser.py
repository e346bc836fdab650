"""The app in a real browser, with a real run: live without a remount, safe to reload, steerable."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.run import launch
from engine.run.folder import list_runs

playwright = pytest.importorskip("playwright.sync_api")
PATIENCE = 120  # seconds: a machine may be busy with other things
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no chromium here"),
]

# Components live in shadow roots; what the tests want of them is found by these.
WALL_STEP = """() => [...document.querySelectorAll("*")].map(e => e.shadowRoot)
  .filter(Boolean).map(s => s.querySelector("canvas.wall")).find(Boolean)?.dataset.step ?? null"""
COLUMNS = """() => document.querySelector(".js-plotly-plot")?.data?.[0]?.x?.length ?? 0"""
MARK = (
    """() => { for (const e of document.querySelectorAll(".js-plotly-plot")) e.marked = true; }"""
)
ALL_MARKED = """() => { const found = [...document.querySelectorAll(".js-plotly-plot")];
  return found.length >= 4 && found.every(e => e.marked); }"""
ZOOM = """() => Plotly.relayout(document.querySelector(".js-plotly-plot"),
  {"yaxis.range": [5.5, 1.5]})"""
ZOOMED = """() => document.querySelector(".js-plotly-plot").layout.yaxis.range"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The app on a free port, with runs of its own; its workers end with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app/serve.py", "--server.headless=true"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1"]
    environment = os.environ | {"QUANTOSCOPE_RUNS": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _until(lambda: _healthy(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        for folder in list_runs(tmp_path):
            launch.cancel(folder)
        server.terminate()
        server.wait(timeout=PATIENCE)


@pytest.fixture
def page() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(1000 * PATIENCE)
        playwright.expect.set_options(timeout=1000 * PATIENCE)
        yield page
        browser.close()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _until(holds: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE} s"
        time.sleep(0.05)


def test_a_run_is_started_watched_reloaded_cancelled_and_resumed(page: Any, address: str) -> None:
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(f"{request.failure} {request.url}"))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(address)
    page.locator(".st-key-card-nearest-2 button").click()
    page.wait_for_url("**/lab?run=*")
    _until(lambda: page.evaluate(COLUMNS) >= 2 and page.evaluate(WALL_STEP))

    page.evaluate(MARK)
    page.evaluate(ZOOM)
    columns, step = page.evaluate(COLUMNS), page.evaluate(WALL_STEP)
    _until(lambda: page.evaluate(COLUMNS) > columns and page.evaluate(WALL_STEP) != step)
    assert page.evaluate(ALL_MARKED), "a chart was mounted anew"
    assert page.evaluate(ZOOMED) == [5.5, 1.5]

    pill = page.locator(".pill")
    page.locator("button[data-do=pause]").click()
    playwright.expect(pill).to_have_text("paused")
    page.wait_for_timeout(500)
    columns = page.evaluate(COLUMNS)
    page.locator("button[data-do=step]").click()
    _until(lambda: page.evaluate(COLUMNS) == columns + 1)
    page.locator("button[data-do=pause]").click()
    playwright.expect(pill).to_have_text("running")

    where = page.url
    page.reload()
    _until(lambda: page.evaluate(COLUMNS) >= columns and page.evaluate(WALL_STEP))
    assert page.url == where
    page.evaluate(MARK)

    page.locator("button[data-do=cancel]").click()
    playwright.expect(pill).to_have_text("cancelled")
    playwright.expect(page.get_by_text("This run was cancelled")).to_be_visible()
    columns = page.evaluate(COLUMNS)
    page.get_by_role("button", name="Resume this run").click()
    playwright.expect(pill).to_have_text("running")
    _until(lambda: page.evaluate(COLUMNS) > columns)
    assert page.evaluate(ALL_MARKED), "a chart was mounted anew"
    # What the reload cuts off counts as failed too, and is the only thing that may.
    assert [one for one in failed if "ERR_ABORTED" not in one and "/events" not in one] == []


def test_scrubbing_happens_in_the_browser_and_lands_in_the_address(
    page: Any, address: str, tmp_path: Path
) -> None:
    from tests.app.fabricate import Fabricated, fabricate

    run = fabricate(tmp_path, Fabricated()).run_id
    page.goto(f"{address}/lab?run={run}&step=11&layer=1")
    _until(lambda: page.evaluate(WALL_STEP) == "11")
    playwright.expect(page.locator(".qs-title")).to_have_text("layer1.0.bn1 · step 11")
    page.locator("canvas.wall").press("ArrowRight")
    _until(lambda: page.evaluate(WALL_STEP) == "16")
    playwright.expect(page.locator(".qs-title")).to_have_text("layer1.0.bn1 · step 16")
    page.wait_for_url("**step=16**")
    page.reload()
    _until(lambda: page.evaluate(WALL_STEP) == "16")


def test_page_and_python_draw_the_same_chart(page: Any, address: str, tmp_path: Path) -> None:
    """The rules in bindings.js against those in bindings.py, on every event of a whole run."""
    from app.charts import quantization, reconstruction, synthesis
    from app.charts.bindings import extended
    from app.history import read_history
    from tests.app.fabricate import Fabricated, fabricate

    events = read_history(fabricate(tmp_path, Fabricated())).events
    events += [event | {"step": 30} for event in events if event.get("step") == 35]
    started = next(event for event in events if event["kind"] == "run-started")
    charts = [
        synthesis.gap_map(started["bn_layers"]),
        synthesis.losses(),
        synthesis.teacher_view(),
        quantization.layer_bars(started["layers"]),
        quantization.flipped_bars(started["layers"]),
        reconstruction.block_at_work(),
        reconstruction.block_multiples(started["blocks"]),
        reconstruction.judging(),
    ]
    page.goto(f"{address}/api/health")
    script = """async ([chart, events]) => {
      const { extend } = await import("/api/ui/test/bindings.js");
      for (const event of events) extend(chart.figure, chart.bindings, event);
      return chart.figure;
    }"""
    for chart in charts:
        plain = {"figure": chart.figure, "bindings": chart.bindings}
        drawn = page.evaluate(script, [plain, events])
        assert drawn == extended(chart, events).figure
