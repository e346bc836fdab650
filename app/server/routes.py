"""The table of routes, and what the server does when it starts and ends."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.server.files import channels, plotly, script, snapshot
from app.server.stream import stream_events
from app.server.watch import Watches


async def health(request: Request) -> Response:  # noqa: ARG001
    return JSONResponse({"status": "ok"})


def routes(watches: Watches) -> list[BaseRoute]:
    """Every route of the project; all lie under /api."""
    return [
        Route("/api/health", health),
        Route("/api/runs/{run}/events", partial(stream_events, watches)),
        Route("/api/runs/{run}/snapshots/{file}", snapshot),
        Route("/api/runs/{run}/channels", channels),
        Route("/api/ui/{version}/plotly.min.js", plotly),
        Route("/api/ui/{version}/{folder}/{file}", script),
    ]


@asynccontextmanager
async def lifespan(watches: Watches, app: Any) -> AsyncIterator[None]:  # noqa: ARG001
    """The catalog and the Plotly library made ready in the background; streams ended at the end."""
    loop = asyncio.get_running_loop()
    restore = _end_streams_first(lambda: loop.call_soon_threadsafe(watches.close))
    warming = asyncio.create_task(asyncio.to_thread(_warm))
    try:
        yield
    finally:
        watches.close()
        restore()
        warming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await warming


def _warm() -> None:
    from app.engine_calls.choices import (
        load_catalog,  # Streamlit's cache wants its runtime, which is up now
    )
    from app.server.files import packed_plotly

    packed_plotly()
    try:
        load_catalog()
    except Exception:
        logging.getLogger(__name__).exception("the catalog could not be warmed")


def _end_streams_first(close: Callable[[], object]) -> Callable[[], None]:
    """Call `close` on the signals that end the server, which else waits for streams that never end.

    Returns a function that puts the former handlers back.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    former: dict[int, Any] = {}

    def handle(number: int, frame: Any) -> None:
        close()
        if callable(former[number]):
            former[number](number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        former[number] = signal.signal(number, handle)

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    return restore
