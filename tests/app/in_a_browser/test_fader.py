"""The faders, in a real browser: what they say at once is what the tables in Python say."""

import random
from typing import Any

import pytest

from app.panels.layers.fewer_bits.bit_choice import BitChoice, chosen_bits, read_choice, usual_bits
from app.panels.layers.fewer_bits.fader import WORDS, for_browser
from app.server.files import ui_version
from engine.run.questions.why import answers
from engine.run.questions.why.fewer_bits.fader import follow_bits
from tests.app.browser import MARKS, browsing, playwright, rest, served
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import address_of
from tests.app.why.bits_found import FOUND, PATHS
from tests.app.why.conftest import student_kept

pytestmark = MARKS
FOLLOW = """async ([folder, found, words, choices]) => {
  const { choiceText, chosenBits, follow, usualBits } = await import(`${folder}/follow.js`);
  const { verdict } = await import(`${folder}/verdict.js`);
  const read = (choice) => ({ ...choice, alone: new Map(choice.alone) });
  const own = follow(chosenBits(read(choices[0]), found), found);
  return choices.map(read).map((choice) => {
    const bits = chosenBits(choice, found);
    const follows = follow(bits, found);
    const says = verdict(follows, own, found, words);
    return { text: choiceText(choice), bits: [...bits], usual: usualBits(bits, found), ...follows, says };
  });
}"""

BARS_SAY_W6 = """() => [...document.querySelectorAll(".js-plotly-plot")].some(
  (one) => one.data[0].customdata?.[1]?.[0] === "W6A5")"""


def any_choices(count: int) -> list[BitChoice]:
    """The run's own bits, then choices of every kind."""
    dice = random.Random(0)
    made = [BitChoice()]
    while len(made) < count:
        alone = {path: (dice.randint(2, 8), dice.choice([None, 2, 5, 8])) for path in PATHS}
        taken = dice.sample(PATHS, dice.randint(0, len(PATHS)))
        network = (dice.randint(2, 8), dice.randint(2, 8)) if dice.random() < 0.5 else None
        point = dice.choice([None, 0, 1, 2]) if network is None else None
        kept = {path: alone[path] for path in taken}
        inputs = dice.choice([None, 3, 6]) if point is not None else None
        made.append(BitChoice(network=network, point=point, inputs=inputs, alone=kept))
    return made


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Any:
    runs = tmp_path_factory.mktemp("runs")
    folder = student_kept(fabricate(runs, Fabricated(views=True)))
    answers.answer(folder, "bits", lambda: FOUND)
    with served(runs) as address, browsing() as browser:
        browser.goto(
            f"{address}/{address_of('layers', run=folder.run_id, layer=PATHS[1], bits='3.5')}"
        )
        browser.get_by_role("slider", name="Bits of weights").wait_for()
        rest(browser)
        yield browser


def test_the_browser_follows_the_tables_as_python_does(page: Any) -> None:
    choices = any_choices(200)
    given = [
        f"/api/ui/{ui_version()}/fader",
        for_browser(FOUND),
        WORDS,
        [c.plain() for c in choices],
    ]
    for choice, said in zip(choices, page.evaluate(FOLLOW, given), strict=True):
        bits = chosen_bits(choice, FOUND)
        follows = follow_bits(
            FOUND, {path: w for path, (w, _) in bits.items()}, {path: a for path, (_, a) in bits.items()}
        )  # fmt: skip
        assert [(path, tuple(pair)) for path, pair in said["bits"]] == list(bits.items())
        assert tuple(said["usual"]) == usual_bits(bits, FOUND)
        assert read_choice(said["text"], FOUND) == choice
        assert said["sqnr"] == pytest.approx(follows.sqnr_db.tolist(), abs=1e-3)
        assert (said["size"], said["operations"]) == follows[1:3]
        assert said["kl"] == pytest.approx(follows.predicted_kl)
        below = sum(db < 20 for db in follows.sqnr_db)
        assert f"**{below} of 5 layers" in said["says"] or (
            not below and "**No layer" in said["says"]
        )
        loss = f"predicted loss **{follows.predicted_kl:.3g} nats**"
        assert loss in said["says"] or said["says"].endswith("These are the run's own bits.")


def test_the_verdict_has_the_numbers_in_words(page: Any) -> None:
    few = BitChoice(network=(2, 8))
    given = [
        f"/api/ui/{ui_version()}/fader", for_browser(FOUND), WORDS, [BitChoice().plain(), few.plain()]
    ]  # fmt: skip
    own, less = (one["says"] for one in page.evaluate(FOLLOW, given))
    assert own.endswith("predicted loss 0.387 nats. These are the run's own bits.")
    # Of 5000 weights 3 layers of 1000 take 250 bytes, 2 take 1000, and each has 10 bytes besides.
    assert less.startswith(
        "**3 of 5 layers are over the cliff** (under 20 dB), `layer1.0.conv1` furthest (12 dB). "
        "2.8 kB, 7.1 times smaller than float; "
    )
    assert less.endswith("nats**, more than the 0.387 of the run's own bits.")


def test_charts_and_verdict_move_before_the_page_is_asked(page: Any) -> None:
    """While the pointer holds the fader, nothing is sent; the release writes the address."""
    weights = page.get_by_role("slider", name="Bits of weights")
    before = page.url
    weights.evaluate(
        "(it) => { it.value = 6; it.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    page.wait_for_function(BARS_SAY_W6)
    assert page.url == before
    page.get_by_text("No layer is over the cliff").wait_for()
    weights.evaluate("(it) => it.dispatchEvent(new Event('change', { bubbles: true }))")
    page.wait_for_function("() => location.search.includes('bits=6.5')")
    rest(page)
    # A key while the page answers to the press before: its answer does not put the fader back.
    page.get_by_role("radio", name="One layer").click()
    alone = page.get_by_role("slider", name=f"Bits of weights of {PATHS[1]}")
    for pause_ms, key in ((250, "ArrowLeft"), (150, "ArrowRight"), (350, "ArrowRight")):
        page.wait_for_timeout(pause_ms)
        alone.press(key)
    page.wait_for_function(
        f"() => decodeURIComponent(location.search).includes('6.5,{PATHS[1]}:7.5')"
    )
    rest(page)
    assert "fader=layer" in page.url
    assert alone.input_value() == "7"
    page.get_by_role("radio", name="All layers").click()
    playwright.expect(weights).to_have_attribute("aria-valuetext", "6 to 7 bits")
    assert page.wrongs == []


def test_a_size_that_is_chosen_leaves_the_inputs_as_they_were_moved(page: Any) -> None:
    page.goto(page.url.partition("&bits=")[0] + "&bits=6.5")
    inputs, size = (
        page.get_by_role("slider", name=name) for name in ("Bits of inputs", "for a size")
    )
    playwright.expect(inputs).to_have_attribute("aria-valuetext", "5 bits")
    rest(page)
    size.press("Home")
    page.wait_for_function("() => location.search.includes('bits=front.0.5')")
    playwright.expect(inputs).to_have_attribute("aria-valuetext", "5 bits")
    inputs.press("ArrowRight")
    page.wait_for_function("() => location.search.includes('bits=front.0.6')")
    rest(page)
