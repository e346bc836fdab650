"""The groups of New run in a real browser: one that is worked in stays open, and says what was changed."""

from pathlib import Path
from typing import Any

from tests.app.browser import MARKS, browsing, playwright, rest, served, until
from tests.app.known_pace import MEASURING

pytestmark = MARKS
BESIDE = """() => { const one = document.querySelector("[class*=-group-synthesis] details");
  if (!one) return [false, ""]; // just being drawn
  return [one.open, getComputedStyle(one.querySelector("summary"), "::after").content]; }"""


def to_the_seed(page: Any, address: str) -> Any:
    """The field of the seed, in New run opened on the page of this address."""
    page.goto(address)
    rest(page)
    page.locator(".st-key-new-run-open button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Expert").click()
    dialog.get_by_text("Images: how many").click()
    seed = dialog.get_by_role("spinbutton", name="Seed")
    seed.wait_for()
    rest(page)
    return seed


def test_a_group_stays_open_while_it_is_worked_in(tmp_path: Path) -> None:
    with served(tmp_path) as address, browsing() as page:
        seed = to_the_seed(page, f"{address}/evidence")
        seed.fill("3")
        seed.press("Enter")
        until(lambda: page.evaluate(BESIDE)[1] == '"1 changed"', "the mark")
        rest(page)
        assert page.evaluate(BESIDE)[0]
        assert page.wrongs == []


def test_a_form_stays_where_it_is_while_the_page_behind_it_and_its_time_are_looked_at(
    tmp_path: Path,
) -> None:
    measuring = tmp_path / MEASURING
    measuring.touch()
    with served(tmp_path) as address, browsing() as page:
        # This page looks again as long as its network is looked over.
        seed = to_the_seed(page, f"{address}/networks")
        waits = page.get_by_role("dialog").get_by_text("is being measured")
        playwright.expect(waits).to_have_count(1)
        field = seed.element_handle()
        seed.fill("3")  # and not yet Enter
        measuring.unlink()
        playwright.expect(waits).to_have_count(0)
        rest(page)
        assert field.evaluate("one => one.isConnected")
        assert seed.input_value() == "3"
        assert page.wrongs == []
