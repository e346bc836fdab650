"""A run's events as server-sent events: the id of each is the byte offset behind its line."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.links.address import byte_offset
from app.run_files.run_folders import open_run
from app.server.watch import Watch, Watches
from engine.core.errors import UserError
from engine.run.folders.folder import ACTIVE, RunFolder

COMMENT_EVERY_S = 15.0  # keeps proxies from closing a quiet stream
LINES_AT_ONCE = 200
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


async def stream_events(watches: Watches, request: Request) -> Response:
    """The stream of `/api/runs/{run}/events`, from Last-Event-ID or `since` on."""
    try:
        folder = open_run(request.path_params["run"])
    except UserError as error:
        return Response(str(error), 404, media_type="text/plain")
    since = byte_offset(request.headers.get("last-event-id") or request.query_params.get("since"))
    if since is None:
        return Response("since must be a byte offset", 400, media_type="text/plain")
    body = messages(watches, folder, since)
    return StreamingResponse(body, media_type="text/event-stream", headers=HEADERS)


async def messages(watches: Watches, folder: RunFolder, since: int) -> AsyncIterator[bytes]:
    """The messages as bytes; ends when the run has ended, or the server is closing."""
    async with watches.of(folder) as watch:
        offset, told = since, ""
        if not _is_between_lines(
            folder, offset, watch.size
        ):  # the run was deleted and begun afresh
            offset = 0
            yield _message("reset", {})
        while not watches.closing:
            changed, state = watch.changed, watch.state
            while chunk := _read(folder, offset):
                offset = chunk[-1][0]
                yield b"".join(b"id: %d\ndata: %s\n\n" % line for line in chunk)
                await asyncio.sleep(0)
            if state != told:
                told = state
                yield _message("status", {**folder.status(), "state": state})
            if state not in ACTIVE and not _grew(watch, offset):
                yield _message("end", {"state": state})
                return
            try:
                await asyncio.wait_for(changed.wait(), COMMENT_EVERY_S)
            except TimeoutError:
                yield b": still here\n\n"


def _is_between_lines(folder: RunFolder, offset: int, size: int) -> bool:
    if not 0 < offset <= size:
        return offset == 0
    try:
        with folder.events_file.open("rb") as file:
            file.seek(offset - 1)
            return file.read(1) == b"\n"
    except OSError:
        return False


def _read(folder: RunFolder, offset: int) -> list[tuple[int, bytes]]:
    chunk = []
    for line in folder.lines(offset):
        chunk.append(line)
        if len(chunk) == LINES_AT_ONCE:
            break
    return chunk


def _grew(watch: Watch, offset: int) -> bool:
    return any(True for _ in watch.folder.lines(offset))


def _message(name: str, content: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(content)}\n\n".encode()
