"""Nothing leaves the machine: no page of ours asks another host, whatever a user wrote."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.wording.words import plain
from engine.core import events
from tests.app.browser import MARKS, browsing, is_blank, rest, served
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import TABS, address_of

OUTSIDE = "![x](http://example.invalid/x.png)"
VIEWS = ("", "networks", *TABS, "compare", "evidence", "bring", "runs")
TITLES = """() => [...document.querySelectorAll(".modebar-btn")].map(b => b.dataset.title)"""
SERVERS = """() => [...document.querySelectorAll(".js-plotly-plot")].map(e => e._context.plotlyServerURL)"""


@pytest.mark.parametrize(
    "text",
    [
        OUTSIDE,
        f"`{OUTSIDE}``",
        f"\\`{OUTSIDE}`",
        f"a | b\n--|--\n` | {OUTSIDE}`",
        f"` \n- {OUTSIDE}`",
        "<img src=http://example.invalid/x.png>",
        "[![x](http://example.invalid/x.png)](http://example.invalid)",
    ],
)
def test_plain_text_makes_no_picture_in_markdown(text: str) -> None:
    markdown = pytest.importorskip("markdown_it")
    tokens = markdown.MarkdownIt("commonmark", {"html": True}).enable("table").parse(plain(text))
    kinds = {one.type for token in tokens for one in (token, *(token.children or ()))}
    assert not kinds & {"image", "html_inline", "html_block", "link_open"}


def test_plain_text_keeps_words_and_code() -> None:
    said = "Memory ran out.\n\nTake fewer images: `--set model.images=[1]`, a_b (1.5 %)."
    assert plain(said) == said


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """The app with a failed and a finished run whose every word fetches a picture, if it can."""
    runs: Path = tmp_path_factory.mktemp("runs")
    failed = fabricate(runs, Fabricated(state="failed", seed=1))
    failed.append(events.RunFailed(message=OUTSIDE, advice=OUTSIDE))
    done = fabricate(runs, Fabricated(views=True, statistics=True))
    for folder in (failed, done):
        folder.append(events.Noted(message=OUTSIDE))
    file = done.path / "result.json"
    numbers = json.loads(file.read_text()) | {"test_set": OUTSIDE}
    file.write_text(json.dumps(numbers))
    with served(runs) as found:
        yield found, done.run_id, failed.run_id


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.browser
@pytest.mark.slow
@MARKS[2]
def test_no_page_asks_another_host(page: Any, address: tuple[str, str, str], view: str) -> None:
    where, *runs = address
    page.wrongs.clear()
    for run in runs if view in TABS else runs[:1]:
        asked = {"runs": ",".join(runs)} if view == "compare" else {"run": run}
        page.goto(f"{where}/{address_of(view, **asked)}")
        page.locator("[data-testid=stMain] :is(h1, h3, .pill)").first.wait_for()
        rest(page)
        page.wait_for_timeout(700)
        assert page.wrongs == []
        assert not is_blank(page)
        assert page.locator("[data-testid=stMain] img[src*=invalid]").count() == 0
        nothing_judged = view == "answers" and run == runs[1]  # the failed one has no chart there
        if view in TABS and not nothing_judged:
            page.locator(".js-plotly-plot .modebar-btn").first.wait_for(state="attached")
            assert not [title for title in page.evaluate(TITLES) if "hare" in str(title)]
            assert set(page.evaluate(SERVERS)) == {""}


@pytest.mark.browser
@pytest.mark.slow
@MARKS[2]
def test_the_browser_itself_refuses_to_ask_another_host(
    page: Any, address: tuple[str, str, str]
) -> None:
    page.goto(f"{address[0]}/api/health")
    page.wrongs.clear()
    fetched = """() => new Promise((done) => { const image = new Image();
      image.onload = () => done("loaded"); image.onerror = () => done("refused");
      image.src = "http://example.invalid/x.png"; document.body.append(image); })"""
    assert page.evaluate(fetched) == "refused"
    assert any("Content Security Policy" in one for one in page.wrongs)
    page.wrongs.clear()
