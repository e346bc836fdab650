"""Who is let in: every request and every websocket is looked at before Streamlit or a route sees it.

A page of another site can have its own name resolved to this machine (DNS rebinding): then `Host` is that
name, so only known names are answered. It can also call this machine by its right name: then `Origin` is
the other site's.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.sharing import LOOPBACK, Sharing, own_name, sharing
from app.access.visitors import COOKIE, is_token, new_token

# The first thing that the page's script fetches, before it opens its websocket. The page itself would be
# too early: a SameSite=Strict cookie is not sent with it where a link of another site leads here, and the
# browser would be taken for a new one.
FIRST_FETCHED = "/_stcore/host-config"
A_YEAR_S = 365 * 24 * 60 * 60
KEPT_CLOSE = {
    "content-security-policy": "frame-ancestors 'self'",  # else a page of another site could lead a click
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Refuses foreign hosts, origins and, where the app is not shared, machines; gives out the cookie."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        told = sharing()
        reason = refusal(scope, told)
        if not reason:
            more = _send_more(scope, send, told) if scope["type"] == "http" else send
            await self._app(scope, receive, more)
        elif scope["type"] == "http":
            answer = Response(f"{reason}\n", 403, media_type="text/plain")
            await answer(scope, receive, send)
        else:
            await receive()  # the wish to connect
            await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})


def refusal(scope: Scope, told: Sharing) -> str:
    """Why the request is not answered, in a sentence; empty where it is."""
    headers = Headers(scope=scope)
    if not told.shared and not _is_near(scope.get("client")):
        return "This app is open to its own machine only; start it with --share to let others in."
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _is_known(hosts[0], told):
        return (
            "This app does not answer to that name; use http://localhost, or start it with --share "
            "--hosts NAME."
        )
    origins = headers.getlist("origin")
    if any(not _is_own(origin, hosts[0], told) for origin in origins):
        return "A page of another site may not use this app."
    return ""


def _is_near(client: tuple[str, int] | None) -> bool:
    """Whether the other end is this machine; a proxy's word for who is behind it has been heard already."""
    if client is None:  # a socket of the file system
        return True
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _is_known(host: str, told: Sharing) -> bool:
    name = _name_in(host)
    if not name:
        return False
    if name in LOOPBACK or name in {_name_in(one) or one for one in told.hosts}:
        return True
    if not told.shared or told.hosts:
        return False
    # Nobody can have an address resolved to another one: with no names given, addresses are let in.
    return name in (own_name(), f"{own_name()}.local") or _is_address(name)


def _name_in(host: str) -> str:
    """The name of `name:port`, in lower case; empty where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port  # a port that is none raises
    except ValueError:
        return ""
    odd = parts.username is not None or parts.path or parts.query or parts.fragment
    return "" if odd or name is None else name.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own(origin: str, host: str, told: Sharing) -> bool:
    """Whether the origin is this app's: the host that was asked or, behind a proxy, a name given."""
    netloc = origin.partition("://")[2].lower()
    return netloc == host.lower() or netloc in told.hosts


def _send_more(scope: Scope, send: Send, told: Sharing) -> Send:
    """The same `send`, with the headers that keep a page close, and the cookie for a browser without one."""
    known = is_token(HTTPConnection(scope).cookies.get(COOKIE))
    wanted = told.shared and not known and scope["path"].endswith(FIRST_FETCHED)

    async def more(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in KEPT_CLOSE.items():
                headers.setdefault(name, value)
            if wanted:
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                headers.append(
                    "set-cookie",
                    f"{COOKIE}={new_token()}; Path=/; Max-Age={A_YEAR_S}; HttpOnly; SameSite=Strict{secure}",
                )
        await send(message)

    return more
