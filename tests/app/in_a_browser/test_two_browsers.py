"""Two browsers at a shared app: the second sees the first one's run, and steers it only with a key."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.run.folders.folder import RunFolder, list_runs
from engine.run.workers import launch
from tests.app.in_a_browser.test_browser import CHROMIUM, COLUMNS, PATIENCE, ROOT, _until

playwright = pytest.importorskip("playwright.sync_api")
HERE = "127.0.0.2"  # another name than its own machine's
HOST_KEY = "THE-KEY-OF-THE-HOST"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no chromium here"),
    pytest.mark.skipif(sys.platform != "linux", reason="only there 127.0.0.2 is there by itself"),
]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A shared app with runs of its own."""
    with socket.socket() as free:
        free.bind((HERE, 0))
        number: int = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app/serve.py", "--server.headless=true"]
    command += [f"--server.port={number}", f"--server.address={HERE}"]
    environment = os.environ | {
        "QUANTOSCOPE_RUNS": str(tmp_path / "runs"), "QUANTOSCOPE_NETWORKS": str(tmp_path / "networks"),
        "QUANTOSCOPE_SHARE": "1", "QUANTOSCOPE_HOSTS": HERE, "QUANTOSCOPE_FOLDERS": str(tmp_path),
        "QUANTOSCOPE_KEY": HOST_KEY, "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _until(lambda: answer(number, "/api/health").startswith("HTTP/1.1 200"))
        yield number
    finally:
        for folder in list_runs(tmp_path / "runs"):
            launch.cancel(folder)
        server.terminate()
        server.wait(timeout=PATIENCE)


def answer(port: int, path: str, host: str = "", **headers: str) -> str:
    """The first line of what the server says to a request with just these headers."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host or f'{HERE}:{port}'}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    try:
        with socket.create_connection((HERE, port), timeout=10) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            return connection.recv(1000).decode(errors="replace").partition("\r\n")[0]
    except OSError as error:
        return str(error)


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        found = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        playwright.expect.set_options(timeout=1000 * PATIENCE)
        yield found
        found.close()


def visitor(browser: Any, asked: list[str]) -> Any:
    """A page of a browser that nobody else uses; what it asks for is noted."""
    page = browser.new_context(viewport={"width": 1400, "height": 1600}).new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.on("request", lambda request: asked.append(request.url))
    return page


UPGRADE = {
    "Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


def test_the_second_browser_watches_and_steers_only_with_a_key(
    browser: Any, port: int, tmp_path: Path
) -> None:
    asked: list[str] = []
    anna, ben = visitor(browser, asked), visitor(browser, asked)
    anna.goto(f"http://{HERE}:{port}")
    anna.locator(".st-key-card-nearest-2 button").click()
    anna.wait_for_url("**/run?run=*")
    _until(lambda: anna.evaluate(COLUMNS) >= 2)
    folder = RunFolder.open(tmp_path / "runs", anna.url.partition("run=")[2].partition("&")[0])

    ben.goto(anna.url)
    columns = ben.evaluate(COLUMNS)
    _until(lambda: ben.evaluate(COLUMNS) > columns)  # he watches it live
    look(ben, "ben-watches")
    for name in ("pause", "step", "slow", "cancel"):
        playwright.expect(anna.locator(f"button[data-do={name}]")).to_be_visible()
        playwright.expect(ben.locator(f"button[data-do={name}]")).to_be_hidden()
    # A browser may send what no button sends; the run does not hear of it.
    ben.evaluate("""() => { for (const e of document.querySelectorAll("*")) {
      const button = e.shadowRoot?.querySelector("button[data-do=cancel]");
      if (button) { button.hidden = false; button.click(); } } }""")
    playwright.expect(ben.get_by_text("This run is somebody else's")).to_be_visible()
    look(ben, "ben-is-refused")
    assert folder.status()["state"] in ("running", "queued")

    ben.goto(f"http://{HERE}:{port}/runs")
    ben.locator("[data-testid=stDataFrame]").click(position={"x": 20, "y": 60})
    playwright.expect(ben.get_by_role("button", name="Open", exact=True)).to_be_visible()
    for name in ("Cancel", "Delete", "Resume"):
        playwright.expect(ben.get_by_role("button", name=name, exact=True)).to_have_count(0)
    look(ben, "ben-on-runs")

    ben.goto(anna.url)
    give(ben, "not the key")
    playwright.expect(ben.get_by_text("That key opens nothing here")).to_be_visible()
    anna.reload()  # her browser is still hers
    playwright.expect(anna.locator("button[data-do=cancel]")).to_be_visible()
    page = anna.context.new_page()
    page.goto(f"http://{HERE}:{port}/runs")
    key = page.locator("[data-testid=stCaptionContainer] code").first.inner_text()
    look(page, "anna-on-runs")
    ben.reload()
    give(ben, key)
    ben.locator("button[data-do=cancel]").click()
    playwright.expect(ben.locator(".pill")).to_have_text("cancelled")
    playwright.expect(anna.locator(".pill")).to_have_text("cancelled")
    look(ben, "ben-with-the-key")

    assert ben.context.cookies()[0]["httpOnly"]
    assert {url.split("/")[2] for url in asked if not url.startswith("data:")} == {f"{HERE}:{port}"}
    foreign = f"evil.example:{port}"
    for path, more in (("/", {}), ("/api/health", {}), ("/_stcore/stream", UPGRADE)):
        assert " 403 " in answer(port, path, foreign, **more)
        assert " 403 " in answer(port, path, foreign, Origin=f"http://{foreign}", **more)
        assert " 403 " in answer(port, path, Origin="http://evil.example", **more)
    assert " 101 " in answer(port, "/_stcore/stream", Origin=f"http://{HERE}:{port}", **UPGRADE)


def give(page: Any, key: str) -> None:
    page.locator(".st-key-head-key-open button").first.click()
    page.locator(".st-key-head-key-text input").fill(key)
    page.get_by_role("button", name="Give the key").click()


def look(page: Any, name: str) -> None:
    """A picture for whoever wants to see it, where QUANTOSCOPE_PICTURES names a folder."""
    folder = os.environ.get("QUANTOSCOPE_PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png")
