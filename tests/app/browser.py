"""The app in a real browser: a server with runs of its own, a page that remembers what went wrong."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.run.folders.folder import list_runs
from engine.run.workers import launch
from tests.known_catalog import know_catalog

playwright = pytest.importorskip("playwright.sync_api")
PATIENCE = 120  # seconds: a machine may be busy with other things
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
MOST_SAID = 2000  # characters of a page, or of what a server said, that a failed test shows
ROOT = Path(__file__).parents[2]
HERE = ("data", "blob", "about")  # schemes that ask nobody
MARKS = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no chromium here"),
]

# Components live in shadow roots; what the tests want of them is found by these.
WALL_STEP = """() => [...document.querySelectorAll("*")].map(e => e.shadowRoot)
  .filter(Boolean).map(s => s.querySelector("canvas.wall")).find(Boolean)?.dataset.step ?? null"""
COLUMNS = """() => document.querySelector(".js-plotly-plot")?.data?.[0]?.x?.length ?? 0"""


def until(holds: Callable[[], Any], what: str = "it") -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"{what} did not come within {PATIENCE} s"
        time.sleep(0.05)


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """The address of the app on a free port; the workers that it starts end with it."""
    know_catalog(runs)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.app.serve", "run", "app/serve.py"]
    command += ["--server.headless=true"]
    command += [f"--server.port={port}", "--server.address=127.0.0.1"]
    environment = os.environ | {"QUANTOSCOPE_RUNS": str(runs), "OMP_NUM_THREADS": "1"}
    with (runs / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: _healthy(port), "the server")
        yield f"http://127.0.0.1:{port}"
    finally:
        for folder in list_runs(runs):
            if folder.status().get("pid") != os.getpid():  # a test may have written it itself
                launch.cancel(folder)
        server.terminate()
        server.wait(timeout=PATIENCE)
        print((runs / "server.log").read_text(errors="replace")[-MOST_SAID:])


@contextmanager
def browsing(**more: Any) -> Iterator[Any]:
    """A page of a browser, with `page.wrongs`: exceptions, complaints, requests to other hosts."""
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(**({"viewport": {"width": 1400, "height": 900}} | more))
        page.set_default_timeout(1000 * PATIENCE)
        playwright.expect.set_options(timeout=1000 * PATIENCE)
        page.wrongs = []
        page.on("pageerror", lambda error: page.wrongs.append(f"exception: {error}"))
        page.on("console", lambda told: page.wrongs.extend(_complaint(told)))
        page.on("request", lambda request: page.wrongs.extend(_abroad(page, request.url)))
        try:
            yield page
        finally:
            _describe(page)
            browser.close()


def _describe(page: Any) -> None:
    """Print where a page stands: it is gone when somebody reads that its test has failed."""
    with suppress(playwright.Error):
        print(f"at {page.url}, said: {page.wrongs}")
        print(page.locator("body").inner_text(timeout=5000)[:MOST_SAID])


def _complaint(told: Any) -> list[str]:
    # Streamlit looks for itself below the address of a page before it looks at the root.
    is_search = "/_stcore/" in told.location.get("url", "")
    is_cut_off = "ERR_ABORTED" in told.text or "ERR_INCOMPLETE" in told.text  # by leaving the page
    is_bad = told.type == "error" or "Unexpected state" in told.text
    return [f"console: {told.text}"] if is_bad and not is_search and not is_cut_off else []


def _abroad(page: Any, url: str) -> list[str]:
    asked, own = urlsplit(url), urlsplit(page.url)
    if asked.scheme in HERE or own.scheme in HERE or asked.netloc == own.netloc:
        return []
    return [f"asked another host: {url}"]


def rest(page: Any) -> None:
    """Wait until Streamlit has nothing to do."""
    page.wait_for_selector("[data-test-script-state=notRunning]")


def is_blank(page: Any) -> bool:
    """Whether nothing but the navigation, or not even that, is to be seen, or an exception is."""
    return bool(
        page.evaluate(
            """() => document.querySelector("[data-testid=stException]") !== null
              || (document.querySelector("[data-testid=stMain]")?.innerText ?? "").trim().length < 40"""
        )
    )


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
