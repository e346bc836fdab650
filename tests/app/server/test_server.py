"""The routes: what a page fetches and hears."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from app.server.files import ui_version
from app.server.routes import routes
from app.server.stream import messages
from app.server.watch import Watches
from engine.core import events
from engine.run.folders.folder import RunFolder
from tests.app.client import Client
from tests.app.fabricate import CHANNELS, STEPS, Fabricated, fabricate


@pytest.fixture
def client(runs: Path) -> Client:
    return Client(Starlette(routes=routes(Watches())))


def parsed(body: str) -> list[tuple[str, int, dict[str, object]]]:
    """(name, id, content) of every message."""
    found = []
    for block in body.strip().split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")
        )
        if "data" in fields:
            name, number = fields.get("event", "message"), int(fields.get("id", -1))
            found.append((name, number, json.loads(fields["data"])))
    return found


def test_health(client: Client) -> None:
    assert client.get("/api/health").json() == {"status": "ok"}


def test_stream_of_a_finished_run_tells_all_and_ends(client: Client, finished: str) -> None:
    answer = client.get(f"/api/runs/{finished}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    told = parsed(answer.text)
    assert told[0][2]["kind"] == "run-started"
    assert told[-3][2]["kind"] == "run-finished"
    assert [name for name, *_ in told[-2:]] == ["status", "end"]


@pytest.mark.parametrize("how", ["since", "last-event-id"])
def test_stream_goes_on_from_an_offset(client: Client, finished: str, how: str) -> None:
    address = f"/api/runs/{finished}/events"
    told = [one for one in parsed(client.get(address).text) if one[1] >= 0]
    offset = str(told[9][1])
    if how == "since":
        rest = parsed(client.get(address, params={"since": offset}).text)
    else:
        rest = parsed(client.get(address, headers={"last-event-id": offset}).text)
    assert [one for one in rest if one[1] >= 0] == told[10:]


def test_stream_begins_anew_where_the_run_did(client: Client, finished: str) -> None:
    told = parsed(client.get(f"/api/runs/{finished}/events", params={"since": 10**9}).text)
    assert told[0][0] == "reset"
    assert told[1][2]["kind"] == "run-started"


@pytest.mark.parametrize(
    "address",
    [
        "/api/runs/nobody/events",
        "/api/runs/..%2f..%2fetc/events",
        "/api/runs/{run}/snapshots/..%2frecipe.json",
        "/api/runs/{run}/snapshots/%2e%2e%2frecipe.json",
        "/api/runs/{run}/snapshots/none.webp",
        "/api/runs/{run}/channels?layer=99",
        "/api/ui/v/..%2fmount.py",
        "/api/ui/v/plots/..%2f..%2fmount.py",
        "/api/ui/v/%2e%2e/mount.py",
        "/api/ui/v/mount.py",
        "/api/ui/v/plots/none.js",
    ],
)
def test_what_is_not_there_or_not_meant_is_not_given(
    client: Client, finished: str, address: str
) -> None:
    assert client.get(address.format(run=finished)).status_code == 404


def test_offset_that_is_no_number_is_refused(client: Client, finished: str) -> None:
    assert client.get(f"/api/runs/{finished}/events?since=x").status_code == 400


def test_snapshot_may_be_kept_for_ever(client: Client, finished: str) -> None:
    answer = client.get(f"/api/runs/{finished}/snapshots/images-000001.webp")
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]


def test_channels_of_a_layer_at_a_step(client: Client, finished: str) -> None:
    first = client.get(f"/api/runs/{finished}/channels?layer=1&step=8").json()
    assert first["step"] == 6  # the latest snapshot that was taken by then
    assert len(first["target"]["mean"]) == len(first["sample"]["std"]) == CHANNELS
    last = client.get(f"/api/runs/{finished}/channels?layer=1").json()
    assert last["step"] == STEPS - 4
    assert last["target"] == first["target"]
    assert last["sample"] != first["sample"]


def test_the_gap_of_a_layer_is_the_mean_of_what_its_channels_show(
    client: Client, finished: str
) -> None:
    found = client.get(f"/api/runs/{finished}/channels?layer=1&step=8").json()
    target, sample = found["target"], found["sample"]
    wanted = [
        ((sample["mean"][k] - target["mean"][k]) ** 2 + (sample["std"][k] - target["std"][k]) ** 2)
        / target["std"][k] ** 2  # of runs that kept no unit of their own
        for k in range(CHANNELS)
    ]
    assert sample["gap"] == pytest.approx(wanted, rel=1e-3)
    assert found["gap"] == pytest.approx(sum(wanted) / CHANNELS, rel=1e-3)


def test_scripts_come_with_a_version_of_their_content(client: Client) -> None:
    answer = client.get(f"/api/ui/{ui_version()}/steering/bus.js")
    assert "EventSource" in answer.text
    assert "immutable" in answer.headers["cache-control"]
    assert "plotly" in client.get("/api/ui/v/plotly.min.js").text[:2000]


async def gathered(stream: AsyncIterator[bytes], until: str) -> list[dict[str, object]]:
    found = []
    async for chunk in stream:
        found += [content for _, _, content in parsed(chunk.decode())]
        if until in chunk.decode():
            return found
    return found


def test_growth_is_pushed_to_all_viewers(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.stream.COMMENT_EVERY_S", 1000.0)  # nobody looks by itself
    folder = fabricate(runs, Fabricated(state="running"))

    async def scene() -> None:
        watches = Watches()
        since = folder.events_file.stat().st_size
        streams = [messages(watches, folder, since) for _ in range(3)]
        viewers = [asyncio.create_task(gathered(stream, "hello")) for stream in streams]
        await asyncio.sleep(0.2)
        folder.append(events.Noted(message="hello"))
        told = await asyncio.wait_for(asyncio.gather(*viewers), 60)
        assert [one[-1]["message"] for one in told] == ["hello"] * 3
        for stream in streams:
            await stream.aclose()

    asyncio.run(scene())


def test_stream_ends_when_the_run_is_cancelled_and_when_the_server_closes(runs: Path) -> None:
    folder = fabricate(runs, Fabricated(state="running"))
    offset = folder.events_file.stat().st_size

    async def scene() -> None:
        watches = Watches()
        one = asyncio.create_task(gathered(messages(watches, folder, offset), "never"))
        await asyncio.sleep(0.1)
        folder.write_status("cancelled")
        told = await asyncio.wait_for(one, 60)
        assert [content["state"] for content in told] == ["running", "cancelled", "cancelled"]
        folder.write_status("running")
        other = asyncio.create_task(gathered(messages(watches, folder, offset), "never"))
        await asyncio.sleep(0.1)
        watches.close()
        await asyncio.wait_for(other, 60)

    asyncio.run(scene())


def test_torn_last_line_is_not_sent(runs: Path, client: Client) -> None:
    folder = fabricate(runs, Fabricated(state="cancelled"))
    with folder.events_file.open("ab") as file:
        file.write(b'{"kind":"noted","mess')
    assert "mess" not in client.get(f"/api/runs/{RunFolder(folder.path).run_id}/events").text
