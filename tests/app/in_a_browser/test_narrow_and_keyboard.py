"""In a real browser: few stops of the keyboard before the first card, and names that lie upon no other."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app import fabricate
from tests.app.browser import MARKS, browsing, rest, served, until

pytestmark = MARKS

MOST_STOPS = 10
LAYERS = 50
READABLE = 46  # px of a tile that a class's name fits below
FOCUSED = """() => { let e = document.activeElement;
  while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
  return e?.closest("[class*=st-key-card-], [class*=st-key-open-]") !== null; }"""
NAMES = """() => [...document.querySelectorAll(".js-plotly-plot .xtick text")]
  .map(e => [e.textContent, e.getBoundingClientRect().right])"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    blocks = {f"stage{k}": [f"stage{k}.conv{c}" for c in range(5)] for k in range(LAYERS // 5)}
    monkeypatch.setattr(fabricate, "BLOCKS", blocks)
    made = fabricate.Fabricated(statistics=False, views=False)
    folder = fabricate.fabricate(tmp_path, made)
    with served(tmp_path) as found:
        yield found, folder.run_id


def test_the_first_card_is_ten_stops_away_at_most(address: tuple[str, str]) -> None:
    with browsing() as page:
        page.goto(address[0])
        page.wait_for_selector(".st-key-card-nearest-2 button")
        page.wait_for_selector("input[type=radio]")
        rest(page)
        stops = 0
        while stops <= MOST_STOPS:
            page.keyboard.press("Tab")
            if page.evaluate(FOCUSED):
                break
            stops += 1
        assert stops <= MOST_STOPS


def test_names_of_fifty_layers_have_room_on_a_phone(address: tuple[str, str]) -> None:
    found, run = address
    many, few = names_at(1400, found, run), names_at(390, found, run)
    assert len(many) == LAYERS
    assert 5 < len(few) < LAYERS
    assert any(name.startswith("▸") for name, _ in few)  # the chosen layer's stays
    ends = sorted(right for _, right in few)
    assert min(b - a for a, b in itertools.pairwise(ends)) > 8  # px: their font's


def test_images_on_start_have_their_names_on_a_phone_too(address: tuple[str, str]) -> None:
    width_of_one = "e => [Number(e.dataset.across), e.clientWidth / e.dataset.across]"
    for width, most in ((1400, 8), (390, 7)):
        with browsing(viewport={"width": width, "height": 900}) as page:
            page.goto(address[0])
            wall = page.locator("canvas.wall[data-across]")
            wall.wait_for()
            across, room = wall.evaluate(width_of_one)
            assert across == most
            assert room > READABLE


def test_no_row_of_images_on_a_phone_is_half_empty(address: tuple[str, str]) -> None:
    lowest_on_the_right = """e => { const pen = e.getContext("2d"), x = e.width - 20;
      const rows = Array.from({ length: e.height }, (_, y) => pen.getImageData(x, y, 1, 1).data[3]);
      return rows.lastIndexOf(255) / e.height; }"""
    with browsing(viewport={"width": 390, "height": 900}) as page:
        page.goto(address[0])
        wall = page.locator("canvas.wall[data-across]")
        wall.wait_for()
        assert wall.evaluate(lowest_on_the_right) > 0.85


def names_at(width: int, address: str, run: str) -> list[list[Any]]:
    with browsing(viewport={"width": width, "height": 900}) as page:
        page.goto(f"{address}/run?run={run}&tab=layers")
        until(lambda: len(page.evaluate(NAMES)) > 1, "the names of the layers")
        rest(page)
        names: list[list[Any]] = page.evaluate(NAMES)
        return names
