"""The groups of New run in a real browser: one that is worked in stays open, and says what was changed."""

from pathlib import Path
from typing import Any

from tests.app.browser import MARKS, browsing, rest, served, until

pytestmark = MARKS
BESIDE = """() => { const one = document.querySelector("[class*=-group-synthesis] details");
  if (!one) return [false, ""]; // just being drawn
  return [one.open, getComputedStyle(one.querySelector("summary"), "::after").content]; }"""


def is_marked(page: Any, seed: Any) -> bool:
    """Whether the group says that a seed, typed anew, has changed it.

    What is typed just when the page looks again for the estimate can be lost on a busy machine.
    """
    seed.fill("3")
    seed.press("Enter")
    for _ in range(100):
        if page.evaluate(BESIDE)[1] == '"1 changed"':
            return True
        page.wait_for_timeout(100)
    return False


def test_a_group_stays_open_while_it_is_worked_in(tmp_path: Path) -> None:
    with served(tmp_path) as address, browsing() as page:
        page.goto(f"{address}/evidence")
        page.locator(".st-key-new-run-open button").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("Expert").click()
        dialog.get_by_text("Images: how many").click()
        seed = dialog.get_by_role("spinbutton", name="Seed")
        seed.wait_for()
        rest(page)
        until(lambda: is_marked(page, seed), "the mark")
        rest(page)
        assert page.evaluate(BESIDE)[0]
        assert page.wrongs == []
