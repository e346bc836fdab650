"""An address of an earlier version leads to the page that shows the same now, and to the same run."""

from pathlib import Path

import pytest

from app.links.moved import MOVED
from tests.app.browser import MARKS, browsing, rest, served
from tests.app.fabricate import Fabricated, fabricate


@pytest.mark.browser
@pytest.mark.slow
@MARKS[2]
def test_old_addresses_lead_on(tmp_path: Path) -> None:
    run = fabricate(tmp_path, Fabricated()).run_id
    with served(tmp_path) as address, browsing() as page:
        for old, (view, more) in MOVED.items():
            page.goto(f"{address}/{old}?run={run}")
            page.wait_for_url(f"**/{view.removeprefix('views/').removesuffix('.py')}?*run={run}*")
            rest(page)
            assert all(
                f"{name}={value}" in page.url for name, value in more.items() if value != "images"
            )
            assert page.wrongs == []
