"""How long a page takes to answer a click: `python -m tests.views_speed [--runs DIR] [--json]`.

A real run of 64 quantized layers and 4000 steps is made once and asked about (some minutes; kept in DIR).
Then a browser opens it, and presses what a person would: time is counted in the browser, from the press to
the last change of the page. What was computed before is kept, as it is for a person who asks again.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.core.device import cores
from engine.run import follow, new_recipe, start
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers
from tests.app.browser import browsing, rest, served
from tests.app.places import address_of
from tests.few_images import few_images

STEPS, DEPTH = 4000, 62
ROUNDS = 5
QUIET_MS = 1500  # after the last change nothing more is expected
DRAW_MS, FADER_MS = 1000, 150
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


def made(runs: Path, tell: Callable[[str], None]) -> RunFolder:
    """The run, finished, with its answers kept."""
    runs.mkdir(parents=True, exist_ok=True)
    file, data = runs / "net.py", runs / "data"
    if not file.exists():
        file.write_text(NETWORK)
        few_images(data)
    recipe = new_recipe(
        model=f"{file}:make", model_settings={"image_shape": [1, 28, 28]}, synthesis="zeroq",
        synthesis_settings={"steps": STEPS, "batch": 4}, images=4, quantization="nearest", data=data,
        weight_bits=3, activation_bits=4, preset="quick", runs=runs,
    )  # fmt: skip
    folder = start(recipe, runs)
    tell(f"a run of {STEPS} steps")
    for _ in follow(folder):
        pass
    for command, layer in (
        ("explain", ""), ("bits", ""), ("predictions", ""), ("tensors", "layer2.0.conv1"),
    ):  # fmt: skip
        tell(f"asking it: {command}")
        answers.answer(folder, command, layer=layer)
    return folder


def measured(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """A row for each thing that is pressed: milliseconds of every round, their median, and the goal."""
    with served(folder.path.parent) as address, browsing() as page:
        layers = address_of("layers", run=folder.run_id, layer="layer2.0.conv1")
        for name in ("Images", "Answers", "Layers"):
            yield row(f"tab {name}", [tab(page, address, folder, name) for _ in range(ROUNDS)])
        page.goto(f"{address}/{layers}")
        settled(page)
        for title in (
            "How few bits can I afford?", "What goes on inside layer2.0.conv1?",
        ):  # fmt: skip
            fold = page.get_by_text(title).first
            yield row(f"opens: {title}", [timed(page, fold.click)])
        steps = [fader_step(page, key) for key in ("ArrowRight", "ArrowLeft") * ROUNDS]
        yield row("bits fader, a step: its charts", [drawn for drawn, _ in steps], FADER_MS)
        yield row("bits fader, a step: the page", [whole for _, whole in steps])
        for view in ("Feature maps", "Its weights", "Float against quantized", "What it reads"):
            button = page.get_by_role("radio", name=view).or_(page.get_by_role("button", name=view))
            yield row(f"inside: {view}", [timed(page, button.first.click)])
        assert page.wrongs == [], page.wrongs


def tab(page: Any, address: str, folder: RunFolder, name: str) -> float:
    """From a press on the tab, in a page that stands on another, to its last change."""
    other = "layers" if name != "Layers" else "answers"
    page.goto(f"{address}/{address_of(other, run=folder.run_id)}")
    settled(page)
    return timed(
        page, page.get_by_role("tab", name=name).or_(page.get_by_text(name, exact=True)).first.click
    )


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
        folder = made(given.runs or Path(place), tell)
        for one in measured(folder):
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
