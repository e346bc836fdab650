"""A run that is started while its time is still being measured: one comes to it, and stays there."""

from pathlib import Path

import pytest

from tests.app.browser import MARKS, browsing, is_blank, playwright, rest, served
from tests.app.known_pace import MEASURING

pytestmark = MARKS
LOOKS_MS = 4000  # in which the page looks again twice and more


@pytest.mark.parametrize("where", ["", pytest.param("evidence", marks=pytest.mark.thorough)])
def test_a_run_is_started_while_its_time_is_measured(where: str, tmp_path: Path) -> None:
    (tmp_path / MEASURING).touch()
    with served(tmp_path) as address, browsing() as page:
        page.goto(f"{address}/{where}")
        page.locator(".st-key-new-run-open button").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("How long it takes is being measured").wait_for()
        page.wait_for_timeout(LOOKS_MS)
        playwright.expect(dialog).to_be_visible()
        page.locator(".st-key-new-start button").click()
        page.wait_for_url("**/run?run=*")
        run = page.url
        (tmp_path / MEASURING).unlink()  # the answer that nobody waits for comes now
        page.locator(".pill").wait_for()
        page.wait_for_timeout(LOOKS_MS)
        rest(page)
        assert page.url.partition("&")[0] == run.partition("&")[0]
        playwright.expect(dialog).to_have_count(0)
        playwright.expect(page.locator(".pill")).to_be_visible()
        assert not is_blank(page)
        assert page.wrongs == []
