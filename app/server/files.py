"""What a page fetches besides events: snapshots, per-channel statistics, scripts and styles."""

import gzip
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from app.charts.library import plotly_script
from app.links.address import count, plain_name
from app.run_files.run_folders import open_run
from engine.core.errors import UserError
from engine.run.folders.folder import RunFolder

FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
COMPONENTS = Path(__file__).parents[1] / "components"
TYPES = {".js": "text/javascript", ".css": "text/css"}


async def snapshot(request: Request) -> Response:
    """One file of a run's snapshots, which never changes once it is written."""
    try:
        name = plain_name(request.path_params["file"])
        path = open_run(request.path_params["run"]).snapshot(name)
    except UserError as error:
        return Response(str(error), 404, media_type="text/plain")
    if not path.is_file():
        return Response(f"{path.name!r} is not there", 404, media_type="text/plain")
    return FileResponse(path, headers=FOREVER)


async def channels(request: Request) -> Response:
    """Target and sample mean and std of every channel of one BatchNorm layer at one step."""
    try:
        folder = open_run(request.path_params["run"])
        asked = request.query_params
        layer, step = count(asked.get("layer", "0")), count(asked.get("step"))
        if layer is None or (step is None and asked.get("step", "-1") != "-1"):
            return Response("layer and step are whole numbers", 400, media_type="text/plain")
        content = channel_statistics(folder, layer, -1 if step is None else step)
    except UserError as error:
        return Response(str(error), 404, media_type="text/plain")
    return JSONResponse(content)


def channel_statistics(folder: RunFolder, layer: int, step: int) -> dict[str, Any]:
    """{"layer","step","target":{"mean","std"},"sample":{..,"gap"}}; the last snapshot where step < 0.

    `gap` is of each channel, ((m − μ)² + (s − σ)²) / unit²: the map shows its mean over the layer.
    """
    target_file = folder.snapshots / "target.npz"
    taken = {
        int(found[1]): path
        for path in folder.snapshots.glob("channels-*.npz")
        if (found := re.search(r"-(\d+)\.npz$", path.name))
    }
    if not target_file.is_file() or not taken:
        raise UserError("no channel statistics are saved yet; they come with the first frames")
    wanted = [at for at in taken if step < 0 or at <= step] or [min(taken)]
    with np.load(target_file) as target, np.load(taken[max(wanted)]) as sample:
        offsets = target["offsets"]
        if not 0 <= layer < len(offsets) - 1:
            raise UserError(f"layer is {layer}; choose 0 to {len(offsets) - 2}")
        part = slice(int(offsets[layer]), int(offsets[layer + 1]))
        rows = {
            name: {key: _plain(arrays[key][part]) for key in ("mean", "std")}
            for name, arrays in (("target", target), ("sample", sample))
        }
        # Runs of older versions did not keep the unit; the stored deviation is the same but for epsilon.
        unit = (target["unit"] if "unit" in target.files else target["std"])[part]
        off = [
            (sample[key][part] - target[key][part]) / np.maximum(unit, 1e-12)
            for key in ("mean", "std")
        ]
        gaps = off[0] ** 2 + off[1] ** 2
        rows["sample"]["gap"] = _plain(gaps)
    return {"layer": layer, "step": max(wanted), "gap": _plain(gaps.mean(keepdims=True))[0], **rows}


def _plain(values: "np.ndarray[Any, Any]") -> list[float | None]:
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]


async def script(request: Request) -> Response:
    """A script or style out of a folder of app/components."""
    try:
        folder, name = (plain_name(request.path_params[part]) for part in ("folder", "file"))
        kind = TYPES[Path(name).suffix]
        content = gzip.compress((COMPONENTS / folder / name).read_bytes())
    except (UserError, OSError, KeyError):
        return Response("no such file", 404, media_type="text/plain")
    return _packed(content, kind)


async def plotly(request: Request) -> Response:  # noqa: ARG001
    """The Plotly library out of its installed package."""
    return _packed(packed_plotly(), TYPES[".js"])


def _packed(content: bytes, kind: str) -> Response:
    headers = FOREVER | {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(content, media_type=kind, headers=headers)


@cache
def packed_plotly() -> bytes:
    """Plotly, packed once: to pack four megabytes for every viewer would cost more than to send them."""
    return gzip.compress(plotly_script().encode())


def ui_version() -> str:
    """A name for the present content of the scripts: a new one makes browsers fetch them anew."""
    content = b"".join(path.read_bytes() for path in sorted(COMPONENTS.glob("*/*.[jc]s*")))
    return hashlib.sha256(content).hexdigest()[:10]
