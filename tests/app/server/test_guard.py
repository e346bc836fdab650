"""Who is let in: names, origins and machines, for requests and websockets alike."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.access.visitors import COOKIE
from app.server.guard import FIRST_FETCHED, Guard

PORT = "8501"


async def page(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


APP = Guard(
    Starlette(
        routes=[
            Route("/", page),
            Route(FIRST_FETCHED, page),
            WebSocketRoute("/_stcore/stream", talk),
        ]
    )
)


def asked(
    kind: str = "http", *, path: str = "/", client: str | None = "127.0.0.1", **headers: str
) -> list[dict[str, Any]]:
    """What is sent back; `host` and the like are headers, and a `|` stands between two of one name."""
    pairs = [
        (name.replace("_", "-").encode(), part.encode("latin-1"))
        for name, value in headers.items()
        for part in value.split("|")
    ]
    scope = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "ws" if kind == "websocket" else "http", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "headers": pairs, "server": ("127.0.0.1", 8501),
        "client": None if client is None else (client, 5), "subprotocols": [],
    }  # fmt: skip
    first = {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request"}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return first

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(APP(scope, receive, send))
    return sent


def is_in(sent: list[dict[str, Any]]) -> bool:
    return sent[0].get("status") == 200 or sent[0]["type"] == "websocket.accept"


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Any:
    def share(hosts: str = "", folders: str = "") -> None:
        monkeypatch.setenv("QUANTOSCOPE_SHARE", "1")
        monkeypatch.setenv("QUANTOSCOPE_HOSTS", hosts)
        monkeypatch.setenv("QUANTOSCOPE_FOLDERS", folders)

    return share


HERE = ("localhost:8501", "LOCALHOST", "localhost.:8501", "127.0.0.1:8501", "[::1]:8501", "[::1]")
FOREIGN = (
    "evil.example", "evil.example:8501", "localhost.evil.example", "127.0.0.1.evil.example",
    "127.0.0.2:8501", "10.0.0.7", "evil.example@localhost", "localhost@evil.example", "",
    "localhost:x", "localhost/x", "localhost?x", "localhost#x", "localhost|evil.example", "[::1", "\xff",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", HERE)
def test_its_own_machine_is_answered(kind: str, host: str) -> None:
    path = "/" if kind == "http" else "/_stcore/stream"
    assert is_in(asked(kind, path=path, host=host))
    assert is_in(asked(kind, path=path, host=host, origin=f"http://{host}"))
    assert is_in(asked(kind, path=path, host=host, client="::ffff:127.0.0.1"))
    assert is_in(asked(kind, path=path, host=host, client=None))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_name_is_refused_also_with_its_own_origin(kind: str, host: str) -> None:
    for more in ({}, {"origin": f"http://{host}"}):
        sent = asked(kind, path="/" if kind == "http" else "/_stcore/stream", host=host, **more)
        assert not is_in(sent)
        assert sent[0]["type"] == "websocket.close" or sent[0]["status"] == 403
    assert not is_in(asked(kind))  # no name at all


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:3000", "http://localhost", "x", "file://",
     "http://localhost:8501|http://evil.example", "http://evil.example/localhost:8501"],
)  # fmt: skip
def test_a_page_of_another_site_is_refused(kind: str, origin: str) -> None:
    path = "/" if kind == "http" else "/_stcore/stream"
    assert not is_in(asked(kind, path=path, host="localhost:8501", origin=origin))


@pytest.mark.parametrize("client", ["10.0.0.7", "fe80::1%eth0", "testclient", ""])
def test_another_machine_is_refused_whatever_name_it_uses(client: str, shared: Any) -> None:
    assert not is_in(asked(client=client, host="localhost:8501"))
    shared()
    assert is_in(asked(client=client, host="localhost:8501"))


def test_sharing_opens_the_names_that_were_given_and_no_other(shared: Any) -> None:
    shared(hosts="Lab.Local, 127.0.0.2,demo.example:443")
    for host in (*HERE, "lab.local:8501", "127.0.0.2:8501", "demo.example"):
        assert is_in(asked(host=host, client="10.0.0.7"))
    for host in FOREIGN:
        if not host.startswith("127.0.0.2"):
            assert not is_in(asked(host=host))
    # behind a proxy that asks under another name, the browser's own is the one given
    assert is_in(asked(host="127.0.0.1:8501", origin="https://lab.local"))
    assert not is_in(asked(host="127.0.0.1:8501", origin="https://lab.local:9"))


def test_sharing_without_names_answers_to_addresses_and_its_own_name(
    shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.server.guard.own_name", lambda: "bench")
    shared()
    for host in (*HERE, "10.0.0.7:8501", "[fe80::1]:8501", "bench:8501", "bench.local"):
        assert is_in(asked(host=host))
    assert not is_in(asked(host="evil.example"))


def cookies(sent: list[dict[str, Any]]) -> list[str]:
    return [value.decode() for name, value in sent[0]["headers"] if name == b"set-cookie"]


def test_a_browser_gets_its_cookie_once_and_only_where_it_surely_has_none(shared: Any) -> None:
    assert cookies(asked(path=FIRST_FETCHED, host="localhost")) == []  # all is one person's
    shared()
    (cookie,) = cookies(asked(path=FIRST_FETCHED, host="localhost"))
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    value = cookie.partition("; ")[0]
    assert cookies(asked(path=FIRST_FETCHED, host="localhost", cookie=value)) == []
    assert cookies(asked(path=FIRST_FETCHED, host="localhost", cookie=f"{COOKIE}=short")) != []
    # A link on another site's page leads here without the cookie, which must not be replaced.
    assert cookies(asked(path="/", host="localhost")) == []


def test_no_page_of_another_site_may_frame_this_one() -> None:
    headers = dict(asked(host="localhost")[0]["headers"])
    assert headers[b"content-security-policy"] == b"frame-ancestors 'self'"
    assert headers[b"cross-origin-resource-policy"] == b"same-origin"


def test_the_entry_has_the_guard_before_all_else_and_listens_here_alone() -> None:
    import tomllib
    from pathlib import Path

    from app import serve

    assert serve.app._user_middleware[0].cls is Guard
    config = Path(".streamlit/config.toml").read_text()
    assert tomllib.loads(config)["server"]["address"] == "127.0.0.1"
