"""In a real browser: no page is wider than its window, no text is cut, a run's tab is two screens high."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.browser import MARKS, browsing, rest, served
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import TABS, address_of

pytestmark = MARKS

SCREEN = {"width": 1400, "height": 900}
LOOKS = 30
NARROW = ({"width": 1000, "height": 800}, {"width": 390, "height": 844})
# Menus of Streamlit shorten what is chosen, and say it whole when they are open.
MEASURE = """() => {
  const cut = [], main = document.querySelector("[data-testid=stMain]");
  const look = (root) => { for (const e of root.querySelectorAll("*")) {
    if (e.shadowRoot) look(e.shadowRoot);
    if (e.closest("[data-baseweb]")) continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (box.width < 3 || !box.height || !["hidden", "clip"].includes(style.overflowX)) continue;
    const said = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (said && e.scrollWidth > e.clientWidth + 1) cut.push(e.textContent.trim().slice(0, 60));
  } };
  look(document);
  return { cut, height: main.scrollHeight,
    over: Math.max(document.documentElement.scrollWidth - innerWidth, main.scrollWidth - main.clientWidth) };
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    runs = tmp_path_factory.mktemp("runs")
    made = (Fabricated(views=True), Fabricated(views=True, seed=1, state="failed"))
    ids = [fabricate(runs, one).run_id for one in made]
    with served(runs) as found:
        yield found, ids


def test_pages_fit_their_window(address: tuple[str, list[str]]) -> None:
    found, (done, failed) = address
    tabs = {tab: address_of(tab, run=done) for tab in TABS}
    tabs["layers, failed"] = address_of("layers", run=failed)
    pages = {
        "compare": f"runs?runs={done},{failed}",
        "runs": "runs",
        "evidence": "evidence",
        "start": "",
        "bring": "networks?own=1",
    }
    wrong = []
    with browsing(viewport=SCREEN) as page:
        for name, where in (tabs | pages).items():
            page.set_viewport_size(SCREEN)
            page.goto(f"{found}/{where}")
            page.wait_for_selector("[data-testid=stMain] [data-testid=stMarkdown]")
            rest(page)
            if name in tabs and measured(page)["height"] > 2 * SCREEN["height"]:
                wrong.append(f"{name}: {measured(page)['height']} px high")
            for size in (SCREEN, *NARROW):
                page.set_viewport_size(size)
                sizes = measured(page)
                at = f"{name} at {size['width']}"
                wrong += [f"{at}: {sizes['over']} px too wide"] if sizes["over"] > 0 else []
                wrong += [f"{at}: cut: {text}" for text in sizes["cut"]]
    assert wrong == []


def measured(page: Any) -> dict[str, Any]:
    """Sizes of the page, when what is drawn has followed its window, or has had the time to."""
    sizes: dict[str, Any] = {}
    for _ in range(LOOKS):
        page.wait_for_timeout(100)
        sizes = page.evaluate(MEASURE)
        if sizes["over"] <= 0 and not sizes["cut"]:
            break
    return sizes
