"""Browsers are told that a page of ours asks no other host for anything, whatever text it shows."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Streamlit's page has scripts and styles in its text, and makes scripts out of data.
POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:{sockets}; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


class Home:
    """An ASGI middleware that gives every answer a Content-Security-Policy."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", _policy(scope).encode("latin-1"))
                message = {**message, "headers": [*message.get("headers", ()), policy]}
            await send(message)

        await self.app(scope, receive, send_with_policy)


def _policy(scope: Message) -> str:
    """With the address of the page's own websocket, which not every browser counts as its own."""
    host = dict(scope.get("headers", ())).get(b"host", b"").decode("latin-1")
    is_plain = bool(host) and all(one.isalnum() or one in ".-:[]" for one in host)
    return POLICY.format(sockets=f" ws://{host} wss://{host}" if is_plain else "")
