"""In a real browser: no page is wider than its window, no text is cut or on another, a tab is two screens."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine.run.questions.why import answers
from tests.app.browser import MARKS, browsing, rest, served
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import TABS, address_of
from tests.app.why.conftest import student_kept
from tests.app.why.test_costs import COSTS, PACKED
from tests.app.why.test_doctor import FOUND as DOCTOR
from tests.app.why.test_flips import FOUND as FLIPS
from tests.app.why.test_provenance import FOUND as ORIGINS

pytestmark = MARKS

SCREEN = {"width": 1400, "height": 900}
LOOKS = 30
NARROW = ({"width": 1000, "height": 800}, {"width": 390, "height": 844})
# Menus of Streamlit shorten what is chosen, and say it whole when they are open. What only a screen reader
# says is clipped away, and what an open dialog covers is not looked at.
MEASURE = """() => {
  const cut = [], lines = [], main = document.querySelector("[data-testid=stMain]");
  const front = document.querySelector("[role=dialog]") ?? main;
  const known = new Map([[document.body, false]]);
  const unseen = (e) => {
    if (known.has(e)) return known.get(e);
    const style = getComputedStyle(e), up = e.parentElement ?? e.getRootNode().host;
    const hides = style.clip !== "auto" || style.clipPath !== "none" || +style.opacity === 0;
    known.set(e, hides || Boolean(up && unseen(up)));
    return known.get(e);
  };
  const said = (e) => [...e.childNodes].filter((n) => n.nodeType === 3 && n.textContent.trim());
  const rows = (e) => said(e).flatMap((n) => {
    const range = document.createRange();
    range.selectNodeContents(n);
    return [...range.getClientRects()].filter((box) => box.width > 3 && box.height > 3);
  });
  const look = (root) => { for (const e of root.querySelectorAll("*")) {
    if (e.shadowRoot) look(e.shadowRoot);
    const boxes = e.closest("svg, style, script") ? [] : rows(e);
    if (boxes.length && e.checkVisibility() && !unseen(e))
      lines.push(...boxes.map((box) => ({ e, box, text: e.textContent.trim().slice(0, 30) })));
    if (e.closest("[data-baseweb]")) continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (box.width < 3 || !box.height || !["hidden", "clip"].includes(style.overflowX)) continue;
    if (said(e).length && e.scrollWidth > e.clientWidth + 1) cut.push(e.textContent.trim().slice(0, 60));
  } };
  look(front);
  const both = (a, b, from, to) => Math.min(a[to], b[to]) - Math.max(a[from], b[from]);
  const overlap = lines.flatMap(({ e, box, text }, at) => lines.slice(at + 1)
    .filter((other) => other.e !== e && both(box, other.box, "left", "right") > 4
      && both(box, other.box, "top", "bottom") > 5)
    .map((other) => `${text} | ${other.text}`));
  return { cut, overlap, height: main.scrollHeight, said: lines.length,
    over: Math.max(document.documentElement.scrollWidth - innerWidth, main.scrollWidth - main.clientWidth) };
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    runs = tmp_path_factory.mktemp("runs")
    made = [
        fabricate(runs, Fabricated(views=True)),
        fabricate(runs, Fabricated(views=True, seed=1, state="failed")),
        student_kept(fabricate(runs, Fabricated(views=True, seed=2))),
    ]
    asked = made[2]
    found = {
        "doctor": DOCTOR,
        "explain": ORIGINS,
        "predictions": FLIPS,
        "resources": COSTS,
        "storage": PACKED,
    }
    for question, answer in found.items():
        answers.answer(asked, question, lambda answer=answer: answer | {"run": asked.run_id})
    with served(runs) as found:
        yield found, [run.run_id for run in made]


def test_pages_fit_their_window(address: tuple[str, list[str]]) -> None:
    found, (done, failed, asked) = address
    tabs = {tab: address_of(tab, run=done) for tab in TABS}
    tabs["layers, failed"] = address_of("layers", run=failed)
    tabs["layers, asked"] = address_of("layers", run=asked, layer="layer1.0.conv2")
    tabs["answers, asked"] = address_of("answers", run=asked)
    pages = {
        "compare": f"runs?runs={done},{failed}",
        "runs": "runs",
        "evidence": "evidence",
        "start": "",
        "networks": "networks",
        "network": "networks?model=mobilenet-fashion",
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
            wrong += misfits(page, name)
        page.set_viewport_size(SCREEN)
        page.get_by_role("button", name="New run").first.click()
        page.get_by_role("dialog").get_by_role("combobox", name="Network").wait_for()
        rest(page)
        wrong += misfits(page, "new run")
    assert wrong == []


def misfits(page: Any, name: str) -> list[str]:
    """What is wider than the window, cut, or lies on something else, at each of three widths."""
    wrong = []
    for size in (SCREEN, *NARROW):
        page.set_viewport_size(size)
        sizes = measured(page)
        at = f"{name} at {size['width']}"
        wrong += [f"{at}: {sizes['over']} px too wide"] if sizes["over"] > 0 else []
        wrong += [f"{at}: cut: {text}" for text in sizes["cut"]]
        wrong += [f"{at}: on each other: {texts}" for texts in sizes["overlap"]]
        wrong += [f"{at}: says nothing"] if not sizes["said"] else []
    return wrong


def measured(page: Any) -> dict[str, Any]:
    """Sizes of the page, when what is drawn has followed its window, or has had the time to."""
    sizes: dict[str, Any] = {}
    for _ in range(LOOKS):
        page.wait_for_timeout(100)
        sizes = page.evaluate(MEASURE)
        if sizes["over"] <= 0 and not sizes["cut"] and not sizes["overlap"]:
            break
    return sizes
