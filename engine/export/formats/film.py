"""The film as an animated WebP: the images as they grow, beside the map of the BatchNorm gaps."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.core.errors import UserError
from engine.export.base import Finished, Format, FormatCard, Written

SIDE, MAP, EDGE, HEAD = 480, 360, 16, 40  # pixels: images, map, space around, line of words
MOST_FRAMES, FRAME_MS, LAST_MS = 96, 100, 2500
_PAPER, _INK = (255, 255, 255), (40, 40, 46)
# From a small gap to a large one, dark to bright: five colours, mixed between them.
_RAMP = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], float)


class Film(Format):
    """One frame a saved picture of the synthesis, thinned to a hundred; it plays once and again."""

    card = FormatCard(
        name="film",
        title="Film (animated WebP)",
        use="Show on a slide how images grow out of nothing but statistics; it plays in any browser.",
        needs_network=False,
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        shots, steps, gaps = _course(run.folder)
        if not shots:
            raise UserError(
                f"run {run.run!r} has saved no pictures of its images, so there is no film; take --bundle or "
                "--tables instead"
            )
        kept = shots[:: -(-len(shots) // MOST_FRAMES)]
        kept += [] if kept[-1] is shots[-1] else [shots[-1]]
        path = out / f"{run.run}.film.webp"
        colours, ends = _coloured(gaps)
        frames = [
            _frame(run, Image.open(file), step, _grown(colours, steps, step), ends)
            for step, file in kept
        ]
        frames[0].save(
            path, "WEBP", save_all=True, append_images=frames[1:], loop=0, quality=80, method=4,
            duration=[*[FRAME_MS] * (len(frames) - 1), LAST_MS],
        )  # fmt: skip
        return [Written(kind="film", path=path, facts={"frames": len(frames)})]


def _course(folder: Path) -> tuple[list[tuple[int, Path]], list[int], NDArray[np.float64]]:
    """(step, file) of each picture; the steps whose gaps are known, and those gaps [steps, layers]."""
    shots: dict[int, Path] = {}
    gaps: dict[int, list[float]] = {}
    for event in _synthesis(folder / "events.jsonl"):
        if event["kind"] == "snapshot-saved" and event.get("name") == "images":
            file = folder / "snapshots" / Path(event["file"]).name
            if file.is_file():
                shots[event["step"]] = file
        elif event["kind"] == "stepped" and event.get("bn_gap"):
            gaps[event["step"]] = event["bn_gap"]
    width = max(map(len, gaps.values()), default=0)
    steps = sorted(step for step, row in gaps.items() if len(row) == width)
    return sorted(shots.items()), steps, np.array([gaps[step] for step in steps], float)


def _synthesis(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:  # torn
                continue
            if isinstance(event, dict) and event.get("stage") == "synthesis":
                yield event


def _coloured(gaps: NDArray[np.float64]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """[layers, steps, 3] colours of the gaps on a logarithmic scale, and its ends."""
    if not gaps.size:
        return np.zeros((0, 0, 3), np.uint8), (0.0, 0.0)
    logs = np.log10(np.maximum(gaps.T, 1e-9))
    low, high = np.percentile(logs, 1), np.percentile(logs, 99)
    place = (np.clip((logs - low) / max(high - low, 1e-9), 0, 1) * (len(_RAMP) - 1)).clip(0, 3.999)
    below = place.astype(int)
    mixed = _RAMP[below] + (_RAMP[below + 1] - _RAMP[below]) * (place - below)[..., None]
    return mixed.round().astype(np.uint8), (float(10**low), float(10**high))


def _grown(colours: NDArray[np.uint8], steps: list[int], until: int) -> Image.Image:
    """The map up to a step; what is still to come is grey."""
    if not colours.size:
        return Image.new("RGB", (MAP, SIDE), (235, 235, 235))
    seen = colours.copy()
    seen[:, np.array(steps) > until] = 225
    return Image.fromarray(seen).resize((MAP, SIDE), Image.Resampling.NEAREST)


def _frame(
    run: Finished, shot: Image.Image, step: int, grown: Image.Image, ends: tuple[float, float]
) -> Image.Image:
    with shot:
        picture = shot.convert("RGB")
    scale = min(SIDE / picture.width, SIDE / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    frame = Image.new("RGB", (SIDE + MAP + 3 * EDGE, SIDE + HEAD + 2 * EDGE), _PAPER)
    top = HEAD + EDGE
    frame.paste(picture.resize(size, Image.Resampling.NEAREST), (EDGE, top + (SIDE - size[1]) // 2))
    frame.paste(grown, (SIDE + 2 * EDGE, top))
    draw, font = ImageDraw.Draw(frame), ImageFont.load_default(16)
    said = f"{run.recipe['model']}, {run.recipe['synthesis']}: step {step}"
    draw.text((EDGE, EDGE), said[:60], _INK, font)
    if ends[1]:
        words = f"BatchNorm gap {ends[0]:.2g} … {ends[1]:.2g}, a row a layer"
        draw.text((SIDE + 2 * EDGE, EDGE), words, _INK, font)
    return frame
