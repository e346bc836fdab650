"""Why, in a real browser: an answer comes and nothing jumps; faders move by the keyboard."""

from pathlib import Path

from engine.run.questions.why import answers
from tests.app.browser import MARKS, browsing, rest, served
from tests.app.fabricate import Fabricated, fabricate
from tests.app.in_a_browser.test_live_pages import LOOK, MOVED, REMOUNTED
from tests.app.places import address_of
from tests.app.why.bits_found import FOUND as BITS
from tests.app.why.conftest import student_kept
from tests.app.why.test_provenance import FOUND as ORIGINS

pytestmark = MARKS
MIDDLE = "(it) => it.scrollIntoView({ block: 'center', behavior: 'instant' })"  # no click has to scroll then


def test_answers_come_and_faders_move_without_a_jump(tmp_path: Path) -> None:
    folder = student_kept(fabricate(tmp_path, Fabricated(views=True)))
    answers.answer(folder, "bits", lambda: BITS)
    with served(tmp_path) as address, browsing() as page:
        page.goto(f"{address}/{address_of('layers', run=folder.run_id)}")
        ask = page.get_by_role("button", name="Find out where errors come from")
        ask.wait_for()
        rest(page)
        page.wait_for_timeout(1500)  # the charts are drawn
        ask.evaluate(MIDDLE)
        page.evaluate(LOOK)
        answers.answer(folder, "explain", lambda: ORIGINS)
        ask.click()
        page.get_by_text("About fc.").wait_for()
        rest(page)
        page.wait_for_timeout(1500)
        assert page.evaluate(REMOUNTED) == []
        assert page.evaluate(MOVED) == []

        page.evaluate(LOOK)
        page.get_by_text("How few bits can I afford?").click()
        weights = page.get_by_role("slider", name="Bits of weights")
        weights.wait_for()
        rest(page)
        page.wait_for_timeout(1500)
        assert page.evaluate(REMOUNTED) == []
        weights.evaluate(MIDDLE)
        page.evaluate(LOOK)
        weights.focus()
        before = weights.input_value()
        page.keyboard.press("ArrowLeft")
        page.wait_for_function("() => location.search.includes('bits=3.4')", timeout=30_000)
        assert (before, weights.input_value()) == ("4", "3")
        page.get_by_text("layers are over the cliff").wait_for()
        rest(page)
        page.wait_for_timeout(1000)
        assert page.evaluate(REMOUNTED) == []
        assert page.evaluate(MOVED) == []
        assert page.wrongs == []
