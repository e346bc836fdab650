"""The pictures of the README: `python -m tests.pictures ADDRESS --run RUN --plain RUN --live RUN`.

ADDRESS is that of a running app. RUN is a finished run that was asked where its errors come from and how few
bits it can afford; `--plain` names the same recipe with nearest rounding, asked the doctor; `--live` one at
work. Each picture is a file in assets/readme: a window of 1400 x 900 or of a phone.
"""

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.app.browser import browsing, playwright, rest
from tests.app.places import address_of

FOLDER = Path(__file__).parents[1] / "assets" / "readme"
SCREEN, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
MOST_BYTES = 90_000
QUALITIES = (85, 75, 65, 55, 45, 35)  # the first with which a picture is small enough
FADER = "How few bits can I afford?"
DRAWN_MS = 4000  # charts and films are there then
SETTLED_MS = 1500


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One file: what is opened, with what theme and window, and what is pressed before."""

    name: str
    where: str
    dark: bool = False
    phone: bool = False
    presses: tuple[str, ...] = ()
    shown: str = ""  # a text that is brought to the top of the window


def pictures(run: str, plain: str, live: str) -> list[Picture]:
    """All fourteen, in the order in which the README shows them."""
    return [
        Picture(name="start", where=""),
        Picture(name="networks", where="networks?model=resnet20-fashion", dark=True, shown="ResNet-20 ·"),
        Picture(name="new-run", where="evidence", presses=("New run",)),
        Picture(name="at-work", where=address_of("images", run=live), dark=True),
        Picture(name="images", where=address_of("images", run=run)),
        Picture(name="layers", where=address_of("layers", run=plain), dark=True),
        Picture(name="one-layer", where=address_of("layers", run=run), shown="What is wrong with one layer?"),
        Picture(name="bits", where=address_of("layers", run=run, bits="3.5"), dark=True, shown=FADER),
        Picture(name="answers", where=address_of("answers", run=run)),
        Picture(name="compare", where=f"runs?runs={plain},{run}"),
        Picture(name="evidence", where="evidence", dark=True),
        Picture(name="take-away", where=address_of("answers", run=run), presses=("Take away",)),
        Picture(name="phone-images", where=address_of("images", run=live), phone=True),
        Picture(name="phone-answers", where=address_of("answers", run=run), dark=True, phone=True),
    ]  # fmt: skip


def take(picture: Picture, address: str) -> bytes:
    """The picture as a small file."""
    theme = "dark" if picture.dark else "light"
    window = PHONE if picture.phone else SCREEN
    with browsing(viewport=window, color_scheme=theme) as page:
        page.goto(f"{address}/{picture.where}")
        page.locator("[data-testid=stMain] [data-testid=stMarkdown]").first.wait_for(
            state="attached"
        )
        rest(page)
        page.wait_for_timeout(DRAWN_MS)
        for text in picture.presses:
            page.get_by_role("button", name=text).first.click()
            page.wait_for_timeout(DRAWN_MS)
        if picture.shown:
            _bring_up(page, picture.shown)
        return small(page.screenshot())


def _bring_up(page: Any, text: str) -> None:
    place = page.get_by_text(text).first
    for _ in range(2):  # what is drawn below it meanwhile lets it come higher
        place.evaluate("(it) => it.scrollIntoView({ block: 'start', behavior: 'instant' })")
        # What stays on top would lie over it.
        page.evaluate("document.querySelector('[data-testid=stMain]').scrollBy(0, -240)")
        page.wait_for_timeout(SETTLED_MS)


def small(png: bytes) -> bytes:
    """The picture as WebP, as good as fits."""
    image, kept = Image.open(io.BytesIO(png)).convert("RGB"), b""
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=6)
        kept = file.getvalue()
        if len(kept) <= MOST_BYTES:
            break
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("address")
    for name in ("run", "plain", "live"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    asked = parser.parse_args()
    for picture in pictures(asked.run, asked.plain, asked.live):
        if asked.only and picture.name not in asked.only:
            continue
        try:
            file = take(picture, asked.address.rstrip("/"))
        except playwright.Error as error:
            sys.exit(f"{picture.name}: {error}")
        (FOLDER / f"{picture.name}.webp").write_bytes(file)
        sys.stderr.write(f"{picture.name}.webp {len(file)} bytes\n")


if __name__ == "__main__":
    main()
