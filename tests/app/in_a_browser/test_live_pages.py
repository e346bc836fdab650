"""A run that is written event by event, while a browser looks on: the words follow, and nothing jumps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.server.files import ui_version
from engine.core import events
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe
from tests.app.browser import MARKS, browsing, is_blank, playwright, rest, served, until
from tests.app.fabricate import RECIPE, SETTINGS, Fabricated, result, writing
from tests.app.places import address_of

pytestmark = MARKS
# Every chart and every picture in the window, and how far the page is scrolled.
LOOK = """() => { const found = ".js-plotly-plot, canvas, [data-testid=stMain] h3";
  window.kept = [...document.querySelectorAll(found)]
  .map(e => [e, e.getBoundingClientRect().top]);
  window.scrolled = document.querySelector("[data-testid=stMain]").scrollTop; }"""
REMOUNTED = (
    """() => window.kept.filter(([e]) => !e.isConnected).map(([e]) => e.className || e.innerText)"""
)
MOVED = """() => window.kept.filter(([e, top]) => top >= 0 && top < innerHeight
    && Math.abs(e.getBoundingClientRect().top - top) > 2)
  .map(([e, top]) => [e.className || e.innerText, top, e.getBoundingClientRect().top])"""
SCROLLED = "() => document.querySelector('[data-testid=stMain]').scrollTop - (window.scrolled ?? 0)"
DONE = Fabricated(quantization="genie-m", views=True)


class Written:
    """A fabricated run at work, written as far as the test wants."""

    def __init__(self, runs: Path, seed: int, made: Fabricated = DONE) -> None:
        self.made = made
        recipe = Recipe(
            synthesis="genie", seed=seed, quantization=made.quantization, **RECIPE, **SETTINGS
        )
        self.folder = RunFolder.create(runs, recipe)
        self.folder.write_status("running")
        self._rest = writing(self.folder, made)

    def to(self, kind: str, **fields: Any) -> None:
        """Write on, up to and with the first such event."""
        for _ in self._rest:
            last = list(self.folder.events())[-1][1]
            if last.kind == kind and all(getattr(last, k) == v for k, v in fields.items()):
                return
        raise AssertionError(f"no {kind} came")

    def end(self, state: str) -> None:
        if state == "done":
            for _ in self._rest:
                pass
            self.folder.finish(result(self.folder, self.made))
        else:
            self.folder.append(events.StateChanged(state=state))
        self.folder.write_status(state)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with served(runs) as found:
        yield found


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with browsing() as found:
        yield found


def opened(page: Any, address: str, view: str, run: Written) -> None:
    page.wrongs.clear()
    page.goto(f"{address}/{address_of(view, run=run.folder.run_id)}")
    page.locator(".pill").wait_for()
    rest(page)
    page.wait_for_timeout(1000)  # the charts are drawn


def check(page: Any) -> None:
    assert page.evaluate(REMOUNTED) == []
    assert page.evaluate(MOVED) == []
    assert abs(page.evaluate(SCROLLED)) <= 2
    assert page.wrongs == []
    assert not is_blank(page)


def menu_says(page: Any, word: str) -> None:
    chosen = page.locator(".st-key-head [data-testid=stSelectbox] input").first
    until(lambda: f"· {word}" in chosen.input_value(), f"{word} in the menu")


def test_words_follow_the_run_and_nothing_jumps_on_quantize(
    page: Any, address: str, runs: Path
) -> None:
    run = Written(runs, seed=1)
    run.to("stage-started", stage="synthesis")
    opened(page, address, "layers", run)
    page.evaluate(LOOK)
    run.to("block-started")
    page.get_by_text("What is the block at work doing?").wait_for()
    check(page)
    run.to("layer-measured")
    page.get_by_text("What is wrong with one layer?").wait_for()
    playwright.expect(page.get_by_text("1 of 4 layers is measured")).to_be_visible()
    check(page)
    rest(page)
    page.wait_for_timeout(1500)
    for scrolled in (0, 700):  # who has scrolled looks at the blocks
        page.evaluate(f"document.querySelector('[data-testid=stMain]').scrollTo(0, {scrolled})")
        page.wait_for_timeout(500)
        page.evaluate(LOOK)
        run.to("layer-measured") if scrolled == 0 else run.end("done")
        said = "2 of 4 layers are measured" if scrolled == 0 else "points of top-1 are lost"
        page.get_by_text(said).wait_for()
        rest(page)
        page.wait_for_timeout(1500)
        check(page)
    playwright.expect(page.locator(".pill")).to_have_text("finished")
    menu_says(page, "finished")


def test_words_follow_the_run_and_nothing_jumps_in_the_lab(
    page: Any, address: str, runs: Path
) -> None:
    run = Written(runs, seed=2)
    run.to("snapshot-saved", name="channels")
    opened(page, address, "images", run)
    page.evaluate(LOOK)
    run.to("layer-measured")
    page.wait_for_timeout(2500)
    check(page)
    run.end("done")
    playwright.expect(page.locator(".pill")).to_have_text("finished")
    page.get_by_text("points below the teacher's").wait_for()
    rest(page)
    page.wait_for_timeout(1000)
    check(page)


@pytest.mark.parametrize("view", ["images", "layers"])
def test_a_run_that_is_cancelled_says_so_everywhere_and_moves_nothing(
    page: Any, address: str, runs: Path, view: str
) -> None:
    run = Written(runs, seed=3 if view == "images" else 4)
    run.to("layer-measured")
    opened(page, address, view, run)
    page.evaluate(LOOK)
    run.to("layer-measured")  # at one moment with the end
    run.end("cancelled")
    page.get_by_text("This run was cancelled").wait_for()
    playwright.expect(page.locator(".pill")).to_have_text("cancelled")
    menu_says(page, "cancelled")
    rest(page)
    check(page)


def test_a_run_that_ended_before_its_first_image_promises_none(
    page: Any, address: str, runs: Path
) -> None:
    run = Written(runs, seed=8)
    run.to("run-started")
    opened(page, address, "images", run)
    page.get_by_text("The first images are on their way").wait_for()
    page.evaluate(LOOK)
    run.end("cancelled")
    page.get_by_text("This run was cancelled").wait_for()
    rest(page)
    playwright.expect(page.get_by_text("No image was made.")).to_have_count(2)  # film, channels
    playwright.expect(page.get_by_text("nothing yet")).to_have_count(0)
    check(page)
    page.reload()
    page.get_by_text("This run ended before there was anything to see").wait_for()
    assert page.locator("canvas.wall").count() == 0


# A pulse on a page that takes its time: it waits three times as long as that before it asks for more layers.
LATE = """async (folder) => {
  const both = ["pulse", "bus"].map((name) => import(`${folder}/${name}.js`));
  const [{ render }, { bus }] = await Promise.all(both);
  const asked = [], begun = Date.now();
  const data = { run: "nobody", live: true, kinds: ["layer-measured"], offset: 0, state: "running" };
  const setTriggerValue = () => asked.push(Date.now() - begun);
  render({ data, parentElement: document.createElement("div"), setTriggerValue });
  bus("nobody").receive({ data: JSON.stringify({ kind: "layer-measured" }), lastEventId: "9" });
  while (!asked.length) await new Promise((on) => setTimeout(on, 50));
  bus("nobody").receiveStatus({ state: "cancelled" });
  while (asked.length < 2 && Date.now() - begun < 20000) await new Promise((on) => setTimeout(on, 50));
  return asked;
}"""


def test_the_words_of_a_run_that_ended_do_not_wait_as_those_of_its_layers_do(
    page: Any, address: str
) -> None:
    page.goto(f"{address}/evidence")
    page.wait_for_selector("[data-testid=stMain] [data-testid=stMarkdown]")
    rest(page)
    first, second = page.evaluate(LATE, f"/api/ui/{ui_version()}/steering")
    assert second - first < 5000


def test_a_chart_on_which_nothing_lies_has_no_numbers(page: Any, address: str, runs: Path) -> None:
    run = Written(runs, seed=5)
    run.to("stage-started", stage="evaluation")
    opened(page, address, "answers", run)
    page.get_by_text("nothing yet").first.wait_for()
    shown = page.locator("[class*=st-key-judging] .js-plotly-plot")
    assert shown.locator(".ytick text, .xtick text").count() == 0
    run.end("done")
    shown.locator(".ytick text").first.wait_for()
    assert shown.get_by_text("nothing yet").count() == 0


def test_a_run_that_has_not_begun_is_of_no_other_network(
    page: Any, address: str, runs: Path
) -> None:
    one, other = Written(runs, seed=6), Written(runs, seed=7)
    one.end("done")
    both = f"{one.folder.run_id},{other.folder.run_id}"
    page.goto(f"{address}/compare?runs={both}")
    page.get_by_text("Gap, confidence and classes").click()
    page.get_by_text("B has not begun").wait_for()
    page.wait_for_timeout(7000)  # drawn again twice, the choice of runs is still there
    assert page.get_by_text("different layers").count() == 0
    other.to("stage-finished", stage="synthesis")
    page.get_by_text("B against A").wait_for()
    page.wait_for_timeout(1000)
    page.evaluate(LOOK)
    other.end("done")
    page.wait_for_timeout(4500)
    check(page)
