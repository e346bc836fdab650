"""How long a page takes to answer a click: `python -m tests.views_speed [--runs DIR] [--json]`.

A real run of 64 quantized layers and 4000 steps is made once and asked all that a page can ask; a second one
has the same images and other bits (some minutes; kept in DIR). Then a browser opens the first, and presses
what a person would: time is counted in the browser, from the press to the last change of the page. What was
computed before is kept, as it is for a person who asks again.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engine.core.device import cores
from engine.run import follow, new_recipe, start
from engine.run.folders.folder import RunFolder
from engine.run.questions.costs import layer_costs
from engine.run.questions.why import answers
from tests.app.browser import browsing, rest, served
from tests.app.places import address_of
from tests.few_images import few_images

STEPS, DEPTH = 4000, 62
LAYER = "layer2.0.conv1"
ROUNDS = 5
QUIET_MS = 1500  # after the last change nothing more is expected
DRAW_MS, FADER_MS = 1000, 150
ASKED = (  # a question, and of which layer
    ("explain", ""), ("bits", ""), ("predictions", ""), ("ranges", ""), ("similarity", ""),
    ("sensitivities", ""), ("storage", ""), ("doctor", ""), ("tensors", LAYER),
)  # fmt: skip
FADER, INSIDE = "How few bits can I afford?", f"What goes on inside {LAYER}?"
OPENS = {  # on each tab
    "images": ("For experts: the losses", "Which image sets a layer's range?"),
    "layers": (
        FADER, INSIDE, "For experts: its weights on the grid", "How far did the weights move?",
        "by which measure?", "Gains of all",
    ),
    "answers": ("For experts: which classes change", "Bytes of each packing"),
}  # fmt: skip
DRAWS = ("Error of its output", "Where it comes from", "Measured cost")
VIEWS = ("Feature maps", "Its weights", "Float against quantized", "What it reads")
NETWORK = f"""
import torch
from engine.models.architectures.resnet import SmallResNet


def make():
    network = SmallResNet({DEPTH}, 1, 10)
    with torch.no_grad():
        for _ in range(8):
            network(torch.randn(32, 1, 28, 28))  # its BatchNorm has seen something
    return network.eval()
"""
# From the next press of a button or key to the last change of what is drawn.
LISTEN = """() => {
  const main = document.querySelector("[data-testid=stMain]");
  window.pressed = 0; window.changed = 0;
  const press = () => { if (!window.pressed) window.pressed = performance.now(); };
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, press, { capture: true, once: true });
  window.watching?.disconnect();
  window.watching = new MutationObserver(() => { window.changed = performance.now(); });
  window.watching.observe(main, { subtree: true, childList: true, attributes: true, characterData: true });
}"""
# When each chart that follows the faders is drawn next.
FOLLOWERS = """() => {
  const follows = (plot) => plot.data.some((trace) => trace.meta?.levels || trace.name === "yours");
  const found = [...document.querySelectorAll(".js-plotly-plot")].filter(follows);
  [window.expected, window.drawn] = [found.length, []];
  for (const plot of found) plot.once("plotly_afterplot", () => window.drawn.push(performance.now()));
}"""
QUIET = f"() => window.changed > window.pressed && performance.now() - window.changed > {QUIET_MS}"
TOOK = "() => window.changed - window.pressed"


def made(runs: Path, tell: Callable[[str], None]) -> tuple[RunFolder, RunFolder]:
    """The run, finished, with its answers kept; and one of the same images with other bits."""
    runs.mkdir(parents=True, exist_ok=True)
    if not (runs / "net.py").exists():
        (runs / "net.py").write_text(NETWORK)
        few_images(runs / "data")
    folder, other = (_run(runs, bits, tell) for bits in (3, 4))
    for command, layer in ASKED:
        tell(f"asking it: {command}")
        answers.answer(folder, command, layer=layer)
    tell("asking it: analyse")
    layer_costs.load(folder)
    return folder, other


def _run(runs: Path, weight_bits: int, tell: Callable[[str], None]) -> RunFolder:
    recipe = new_recipe(
        model=f"{runs / 'net.py'}:make", model_settings={"image_shape": [1, 28, 28]}, synthesis="zeroq",
        synthesis_settings={"steps": STEPS, "batch": 4}, images=4, quantization="nearest",
        data=runs / "data", weight_bits=weight_bits, activation_bits=4, preset="quick", runs=runs,
    )  # fmt: skip
    folder = start(recipe, runs)
    tell(f"a run of {STEPS} steps, weights of {weight_bits} bits")
    for _ in follow(folder):
        pass
    return folder


def measured(folder: RunFolder, other: RunFolder) -> Iterator[dict[str, Any]]:
    """A row for each thing that is pressed: milliseconds of every round, their median, and the goal."""
    with served(folder.path.parent) as address, browsing() as page:
        look = Look(page, address, folder)
        for tab in ("images", "answers", "layers"):
            yield look.row(f"tab {tab.title()}", "layers" if tab != "layers" else "answers",
                           partial(look.tab, tab))  # fmt: skip
        for tab, titles in OPENS.items():
            for title in titles:
                yield look.row(f"opens: {title}", tab, partial(look.text, title))
        for name in DRAWS:
            start_at = {"by": "origin"} if name == DRAWS[0] else {}
            yield look.row(f"bars: {name}", "layers", partial(look.choice, name), **start_at)
        yield look.row("two runs compared", "layers", partial(look.comparison, other))
        look.at("layers", inside="pairs", opened=INSIDE)
        for view in VIEWS:
            yield row(f"inside: {view}", [timed(page, look.choice(view).click)])
        look.at("layers", opened=FADER)
        steps = [fader_step(page, key) for key in ("ArrowRight", "ArrowLeft") * ROUNDS]
        yield row("bits fader, a step: its charts", [drawn for drawn, _ in steps], FADER_MS)
        yield row("bits fader, a step: the page", [whole for _, whole in steps])
        assert page.wrongs == [], page.wrongs


class Look:
    """A browser's page on a run."""

    def __init__(self, page: Any, address: str, folder: RunFolder) -> None:
        self.page, self.address, self.folder = page, address, folder

    def row(self, what: str, tab: str, target: Callable[[], Any], **asked: str) -> dict[str, Any]:
        """A press of the target, round after round, each on a page that was just opened at that tab."""
        times = []
        for _ in range(ROUNDS):
            self.at(tab, **asked)
            times.append(timed(self.page, target().click))
        return row(what, times)

    def at(self, tab: str, *, opened: str = "", **asked: str) -> None:
        """Open the run at the tab, and wait until nothing changes."""
        asked |= (
            {"run": self.folder.run_id, "layer": LAYER}
            if tab == "layers"
            else {"run": self.folder.run_id}
        )
        self.page.goto(f"{self.address}/{address_of(tab, **asked)}")
        settled(self.page)
        if opened:
            self.text(opened).click()
            settled(self.page)

    def tab(self, tab: str) -> Any:
        return self.page.locator(f"[role=tab][data-tab={tab}]")

    def text(self, title: str) -> Any:
        return self.page.get_by_text(title).first

    def choice(self, name: str) -> Any:
        radio = self.page.get_by_role("radio", name=name)
        return radio.or_(self.page.get_by_role("button", name=name)).first

    def comparison(self, other: RunFolder) -> Any:
        """The link to the comparison with that run, in the list that a button opens."""
        self.page.get_by_role("button", name="Compare").click()
        self.page.wait_for_timeout(QUIET_MS)
        return self.page.locator(f"a[href*='{other.run_id}']").first


def settled(page: Any) -> None:
    """Wait until a page that was just opened changes no more."""
    rest(page)
    page.wait_for_timeout(3000)


def timed(page: Any, press: Callable[[], Any]) -> float:
    """Milliseconds from a press to the last change that it makes."""
    page.evaluate(LISTEN)
    press()
    page.wait_for_function(QUIET)
    return float(page.evaluate(TOOK))


def fader_step(page: Any, key: str) -> tuple[float, float]:
    """Milliseconds from a key to the charts that follow at once, and to the page's last change."""
    page.get_by_role("slider", name="Bits of weights").focus()
    page.evaluate(FOLLOWERS)
    whole = timed(page, lambda: page.keyboard.press(key))
    assert page.evaluate("() => window.expected > 0 && window.drawn.length === window.expected")
    return float(page.evaluate("() => Math.max(...window.drawn) - window.pressed")), whole


def row(what: str, times: list[float], goal_ms: float = DRAW_MS) -> dict[str, Any]:
    middle = statistics.median(times)
    return {"what": what, "ms": [round(t) for t in times], "median_ms": round(middle), "goal_ms": goal_ms,
            "met": middle <= goal_ms}  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(
        prog="python -m tests.views_speed", description=__doc__.splitlines()[0]
    )
    options.add_argument("--runs", type=Path, help="where the run is kept; else nowhere")
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folders = made(given.runs or Path(place), tell)
        for one in measured(*folders):
            rows.append(one)
            tell(words_of(one))
    load = os.getloadavg()[0]
    if given.json:
        print(json.dumps({"rows": rows, "cores": cores(), "load": load}))
        return 0
    print("\n".join(map(words_of, rows)))
    print(f"{cores()} cores, load {load:.1f}")
    return 0


def tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def words_of(one: dict[str, Any]) -> str:
    verdict = "met" if one["met"] else "missed"
    return f"{one['median_ms']:6d} ms  {verdict:6s} (goal {one['goal_ms']} ms)  {one['what']}"


if __name__ == "__main__":
    sys.exit(main())
