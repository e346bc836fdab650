"""In a real browser: any run beside nearest rounding in three clicks, and advice followed inside the app."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from engine.run.folders.folder import RunFolder, list_runs
from engine.run.questions.why import answers
from engine.run.workers import launch
from tests.app.browser import MARKS, browsing, rest, served
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import address_of
from tests.app.why.conftest import student_kept
from tests.app.why.test_doctor import FOUND as DOCTOR
from tests.app.why.test_provenance import FOUND as ORIGINS

pytestmark = MARKS
MOST_CLICKS = 3
RUN_SHOWN = "new URLSearchParams(location.search).get('run')"
NAMES = {"nearest": "Nearest rounding", "quantoscope": "Quantoscope"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    runs = tmp_path_factory.mktemp("runs")
    return {
        name: student_kept(fabricate(runs, Fabricated(quantization=name, top1=top1)))
        for name, top1 in (("nearest", 0.7931), ("quantoscope", 0.8642))
    }


@pytest.fixture(scope="module")
def page(made: dict[str, RunFolder]) -> Iterator[Any]:
    with served(made["nearest"].path.parent) as address, browsing(base_url=address) as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_nearest_and_quantoscope_are_three_clicks_from_side_by_side(
    page: Any, made: dict[str, RunFolder], name: str
) -> None:
    (other,) = set(NAMES) - {name}
    page.goto(f"/{address_of('answers', run=made[name].run_id)}")
    rest(page)
    way = [
        page.get_by_role("button", name="Compare", exact=False).first,
        page.get_by_role("link", name=NAMES[other]).first,
    ]
    for control in way:
        control.click()
    page.wait_for_url(f"**runs={made[name].run_id}*{made[other].run_id}*")
    for accuracy in ("79.31", "86.42"):
        page.get_by_text(accuracy).first.wait_for()
    assert len(way) <= MOST_CLICKS
    assert page.wrongs == []


def test_what_the_doctor_says_is_tried_with_a_press_and_watched_with_another(
    page: Any, made: dict[str, RunFolder]
) -> None:
    run = made["quantoscope"]
    answers.answer(run, "doctor", lambda: DOCTOR | {"run": run.run_id})
    page.goto(f"/{address_of('layers', run=run.run_id)}")
    page.get_by_role("button", name="Try it", exact=True).click()
    page.get_by_role("link", name="Watch it").click()
    check_change(page, run, made, {"weight_bits": {"conv1": 6}})


def test_what_is_said_of_a_layer_is_one_press_from_its_run(
    page: Any, made: dict[str, RunFolder]
) -> None:
    run = made["quantoscope"]
    answers.answer(run, "explain", lambda: ORIGINS)
    page.goto(f"/{address_of('layers', run=run.run_id, layer='layer1.0.conv2')}")
    page.get_by_role("button", name="Try the input of layer1.0.conv1 at 8 bits").click()
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    check_change(page, run, made, {"activation_bits": {"layer1.0.conv1": 8}})


def check_change(
    page: Any, run: RunFolder, made: dict[str, RunFolder], bits: dict[str, dict[str, int]]
) -> None:
    """The page is that of the one new run, which has these bits and is the old one's recipe in all else."""
    known = {run.run_id for run in made.values()}
    page.wait_for_function(f"() => ![...{sorted(known)}, null].includes({RUN_SHOWN})")
    (new,) = [one for one in list_runs(run.path.parent) if one.run_id not in known]
    launch.cancel(new)
    made[new.run_id] = new
    assert page.evaluate(RUN_SHOWN) == new.run_id
    before, after = (dataclasses.asdict(one.recipe) for one in (run, new))
    given = after["quantization_settings"].pop("bits")
    assert {name: layers for name, layers in given.items() if layers} == bits
    for name, value in before.items():  # the dialog writes out what a setting is by itself
        if isinstance(value, dict):
            assert value.items() <= after[name].items()
        else:
            assert value == after[name]
    assert len(page.context.pages) == 1
    assert page.wrongs == []
