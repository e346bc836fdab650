"""Every quantizer, started from the app's form and watched to its end: `python -m tests.every_system`.

A browser opens *New run*, chooses network, source of images and quantizer by their menus, sixteen images
and the effort *Quick*, presses *Start*, and waits until the run's page says how it ended: minutes. A line
of JSON for each, with the accuracy that the page shows. `--only NAME,..` takes some of them.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError  # noqa: A004

from engine.run import catalog
from tests.app.browser import browsing, rest, served
from tests.known_catalog import know_catalog

IMAGES = 16
PATIENCE_S = 3000
QUIET_MS, TURN_MS, TURNS = 700, 15_000, 8  # a busy machine draws slowly
# Of each quantizer: network, source of images, bits of weights and of activations.
USUAL = ("resnet20-fashion", "noise", 4, 8)
OTHERS = {
    "bitat": ("resnet20-fashion", "noise", 1, 8),
    "dir-net": ("binary-fashion", "noise", 1, 8),
    "daq": ("sr-fashion", "noise", 4, 4),
    "cfws": ("repvgg-fashion", "noise", 8, 8),
    "std-based": ("vgg-fashion", "noise", 4, 8),
    "factorization": ("vgg-fashion", "noise", 8, 8),
}


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.every_system")
    options.add_argument("--only", default="", help="these quantizers, by name")
    options.add_argument("--pictures", type=Path, help="where a picture of each run's end is kept")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = know_catalog(Path(place) / "runs")
        known = catalog.load(runs)
        titles = {
            kind: {one["name"]: one["title"] for one in known[kind]}
            for kind in ("models", "synthesis", "quantization")
        }
        names = given.only.split(",") if given.only else list(titles["quantization"])
        failed = [name for name in names if not tried(runs, titles, name, given.pictures)]
    return int(bool(failed))


def tried(runs: Path, titles: dict[str, Any], name: str, pictures: Path | None) -> bool:
    """Whether it ended well; a page that does not do what is asked of it is told, and the next is tried."""
    try:
        return ended_well(runs, titles, name, pictures)
    except (PlaywrightError, RuntimeError) as error:
        tell({"quantizer": name, "state": "not watched", "why": str(error).splitlines()[0]})
        return False


def tell(line: dict[str, Any]) -> None:
    """Print it now: whoever reads along sees each as it ends."""
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


def ended_well(runs: Path, titles: dict[str, Any], name: str, pictures: Path | None) -> bool:
    """Start it and wait; prints its line."""
    network, source, *bits = OTHERS.get(name, USUAL)
    begun = time.monotonic()
    with served(runs) as address, browsing() as page:
        page.goto(address)
        page.get_by_role("button", name="New run").first.click()
        dialog = page.get_by_role("dialog")
        choose(page, dialog, "Network", titles["models"][network])
        choose(page, dialog, "Images from", titles["synthesis"][source])
        choose(page, dialog, "Quantizer", titles["quantization"][name])
        for label, wanted in zip(("Bits a weight", "Bits an activation"), bits, strict=True):
            slider = dialog.get_by_role("slider", name=label)
            while (now := int(slider.input_value())) != wanted:
                slider.press("ArrowRight" if now < wanted else "ArrowLeft")
                settle(page)
        dialog.get_by_text("Expert").click()
        settle(page)
        ask_for_images(page, dialog)
        press_start(page)
        pill = page.locator(".pill", has_text="finished").or_(
            page.locator(".pill", has_text="failed")
        )
        pill.wait_for(timeout=1000 * PATIENCE_S)
        rest(page)
        page.wait_for_timeout(1000)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=pictures / f"{name}.png")
        says = page.locator(".accuracy").inner_text()
        state = pill.inner_text()
        line = {"quantizer": name, "network": network, "bits": bits, "state": state, "says": says,
                "seconds": round(time.monotonic() - begun), "wrongs": page.wrongs}  # fmt: skip
    tell(line)
    return state == "finished" and not line["wrongs"]


def settle(page: Any) -> None:
    """Wait until what was pressed has reached the server, and the page is drawn anew."""
    page.wait_for_timeout(QUIET_MS)
    rest(page)


def choose(page: Any, dialog: Any, label: str, title: str) -> None:
    """Take it from the menu. The page may be drawn anew meanwhile, and take the open menu away."""
    menu = dialog.get_by_role("combobox", name=label)
    for _ in range(TURNS):
        if menu.input_value() == title:
            return
        try:
            menu.click(timeout=TURN_MS)
            menu.fill(title, timeout=TURN_MS)
            page.get_by_role("option", name=title, exact=True).click(timeout=TURN_MS)
        except TimeoutError:
            page.keyboard.press("End")  # Escape would close the dialog
        settle(page)
    raise RuntimeError(f"{label} stayed {menu.input_value()!r} and was to be {title!r}")


def press_start(page: Any) -> None:
    """Press *Start* until the run's page is there: a press while the page is drawn anew is lost."""
    for _ in range(TURNS):
        try:
            page.locator(".st-key-new-start button").click(timeout=TURN_MS)
            page.wait_for_url("**/run?run=*", timeout=TURN_MS, wait_until="commit")
            return
        except TimeoutError:
            settle(page)
            if "/run?run=" in page.url:
                return
    dialog, says = page.get_by_role("dialog"), "the dialog is closed"
    if dialog.count():
        alerts = page.get_by_role("alert").all_inner_texts()
        says = f"the dialog is open and says {' '.join(' '.join(alerts).split())!r}"
    raise RuntimeError(f"no run began; the page is {page.url}, {says}")


def ask_for_images(page: Any, dialog: Any) -> None:
    """Write IMAGES into the form, and see that it stays there."""
    field = dialog.get_by_label("Images", exact=True)
    for _ in range(TURNS):
        try:
            if not field.is_visible():
                dialog.get_by_text("Images: how many").click(timeout=TURN_MS)
            field.fill(str(IMAGES), timeout=TURN_MS)
            field.press("Enter")
        except TimeoutError:
            continue
        settle(page)
        if field.input_value() == str(IMAGES):
            return
    raise RuntimeError(f"the form did not take {IMAGES} images")


if __name__ == "__main__":
    sys.exit(main())
