"""Whatever an address says, a page opens and a route answers: no text ends in a traceback."""

from pathlib import Path

import pytest
from starlette.applications import Starlette

from app.server.routes import routes
from app.server.watch import Watches
from engine.core.errors import UserError
from tests.app.client import Client
from tests.app.fabricate import Fabricated, fabricate
from tests.app.known_pace import PACE
from tests.app.networks.test_network import answer
from tests.app.places import TABS
from tests.app.test_pages import opened, texts

__all__ = ["answer"]  # a fixture
ODD = (
    "", " ", "x", "-1", "0", "1e400", "-1e400", "inf", "nan", "9" * 400, "1_0", "１", "1.5", "None",
    "a" * 300, "a\0b", "../../etc/passwd", "/dev/zero", "~nobody/x", "%00", "\ud800", "\u202e\n\r\t",
    "<script>alert(1)</script>", "a,b,,c", "[1]", "{}", "'", "C:\\x", "//host/x",
)  # fmt: skip
PARAMETERS = {
    "images": ("run", "step", "layer"),
    "layers": ("run", "layer", "gain", "soft-rounding-block"),
    "runs": ("runs", "axis", "share", "step"),
    "networks": ("model", "wbits", "abits", "rule", "layer", "weights", "data", "mean", "std"),
    "evidence": ("of", "claim"),
}


@pytest.mark.parametrize("page", PARAMETERS)
def test_every_page_opens_whatever_the_address_says(
    page: str, runs: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if page == "networks":
        found = request.getfixturevalue("answer")
        monkeypatch.setattr(
            "engine.run.questions.before_a_run.diagnose.kept", lambda runs, recipe: found
        )
        monkeypatch.setattr(
            "engine.run.questions.before_a_run.estimate.kept_pace", lambda runs, recipe: PACE
        )
    run = fabricate(runs, Fabricated()).run_id
    fabricate(runs, Fabricated(seed=1))
    at = opened(page, **({"run": run} if page in TABS else {}))
    names = PARAMETERS[page]
    for odd in ("-1", "1e400", "inf", "nan", "9" * 400, "a" * 300, "a\0b", "/dev/zero", "\u202e\n"):
        for name in names if "run" not in names else [one for one in names if one != "run"]:
            at.query_params[name] = odd
        at.run()
        for button in at.button:  # what was typed is opened only then
            if str(button.key).endswith("-look"):
                button.click().run()
        assert not at.exception, f"{odd!r}: {at.exception[0].stack_trace}"
        assert "Traceback" not in texts(at)


@pytest.mark.parametrize("page", [*TABS, "runs", "start"])
def test_every_page_opens_whatever_run_the_address_names(page: str, finished: str) -> None:
    at = opened(page)
    for odd in ("1e400", "a" * 300, "a\0b", "../../etc", "/dev/zero", "\u202e\n"):
        at.query_params["run"] = odd
        at.run()
        assert not at.exception, f"{odd!r}: {at.exception[0].stack_trace}"


@pytest.fixture
def client(runs: Path) -> Client:
    return Client(Starlette(routes=routes(Watches())))


ROUTES = (
    "/api/runs/{odd}/events",
    "/api/runs/{odd}/snapshots/images-000001.webp",
    "/api/runs/{odd}/channels",
    "/api/runs/{run}/snapshots/{odd}",
    "/api/runs/{run}/channels?layer={odd}",
    "/api/runs/{run}/channels?step={odd}",
    "/api/runs/{run}/events?since={odd}",
    "/api/ui/{odd}/steering/bus.js",
    "/api/ui/v/{odd}/bus.js",
    "/api/ui/v/steering/{odd}",
)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_answers_whatever_it_is_asked(
    route: str, client: Client, finished: str
) -> None:
    from urllib.parse import quote

    for odd in ODD:
        text = quote(odd, safe="", errors="surrogatepass")
        answer = client.get(route.format(run=finished, odd=text))
        assert answer.status_code in (200, 400, 404), (odd, answer.status_code)
        if answer.status_code != 200:
            assert "Traceback" not in answer.text
            assert "\n" not in answer.text.strip()


@pytest.mark.parametrize("since", ["-1", "1e3", "x", "1_0", "9" * 30])
def test_an_offset_that_is_none_is_refused(client: Client, finished: str, since: str) -> None:
    address = f"/api/runs/{finished}/events"
    assert client.get(address, params={"since": since}).status_code == 400
    assert client.get(address, headers={"last-event-id": since}).status_code == 400


@pytest.mark.parametrize("shift", [-7, -1, 1, 5])
def test_from_the_middle_of_a_line_the_stream_begins_anew(
    client: Client, finished: str, runs: Path, shift: int
) -> None:
    from tests.app.server.test_server import parsed

    lines = (runs / finished / "events.jsonl").read_bytes().splitlines(keepends=True)
    middle = sum(map(len, lines[:4])) + shift
    told = parsed(client.get(f"/api/runs/{finished}/events", params={"since": middle}).text)
    assert told[0][0] == "reset"
    assert told[1][2]["kind"] == "run-started"


@pytest.mark.parametrize("run", ["a" * 300, "a\0b", "../recorded", "/etc", "\ud800", ".", ""])
def test_a_run_of_no_possible_name_is_not_there(run: str, runs: Path) -> None:
    from app.run_files.run_folders import open_run

    with pytest.raises(UserError):
        open_run(run)
