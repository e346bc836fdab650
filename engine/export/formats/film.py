"""The film as WebP and MP4: the images as they grow, beside the map of the BatchNorm gaps."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engine.core.errors import UserError
from engine.export.base import Expected, Finished, Format, FormatCard, Written

SIDE, MAP, EDGE, HEAD = 480, 360, 16, 40  # pixels: images, map, space around, line of words
MOST_FRAMES, FRAME_MS, LAST_MS = 96, 100, 2500
FRAME_BYTES = 60_000  # of a frame of noise, which hardly compresses
ENCODE_S = 300  # at most
EXTRA = "requirements-film.txt"
_PAPER, _INK = (255, 255, 255), (40, 40, 46)
# From a small gap to a large one, dark to bright: five colours, mixed between them.
_RAMP = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], float)


class Film(Format):
    """One frame a saved picture of the synthesis, thinned to a hundred; the WebP plays once and again."""

    card = FormatCard(
        name="film",
        title="Film (WebP, MP4)",
        use="Show on a slide how images grow out of nothing but statistics: WebP plays in any browser, MP4 "
        "in any slides.",
        needs_network=False,
    )

    def write(self, run: Finished, out: Path) -> list[Written]:
        shots, steps, gaps = _course(run.folder)
        if not shots:
            raise UserError(
                f"run {run.run!r} has saved no pictures of its images, so there is no film; take --bundle or "
                "--tables instead"
            )
        kept = _thinned(shots)
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
        movie, why = _movie(frames, out / f"{run.run}.film.mp4")
        facts = {"frames": len(frames)}
        written = [Written(kind="film", path=path, notes=(why,) if why else (), facts=facts)]
        return [*written, Written(kind="film", path=movie, facts=facts)] if movie else written

    def expected(self, run: Finished) -> Expected | None:
        shots, _, _ = _course(run.folder)
        if not shots:
            return None
        besides = "" if _encoder() is None else "the MP4"
        return Expected(most=len(_thinned(shots)) * FRAME_BYTES, besides=besides)


def _thinned(shots: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """So many that a film stays short, the last one always."""
    kept = shots[:: max(1, -(-len(shots) // MOST_FRAMES))]
    return kept if not kept or kept[-1] is shots[-1] else [*kept, shots[-1]]


def _encoder() -> str | None:
    """The program that encodes, where the optional package is installed."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:
        return None
    try:
        return str(get_ffmpeg_exe())
    except RuntimeError:  # the package has no program for this machine
        return None


def _movie(frames: Sequence[Image.Image], file: Path) -> tuple[Path | None, str]:
    """The film as H.264 in MP4, which slides take; or None, and why there is none."""
    file.unlink(missing_ok=True)  # of an earlier time: a part of it is no film
    program = _encoder()
    if program is None:
        return None, (
            "The film as MP4 needs the package imageio-ffmpeg, an optional extra: "
            f"`pip install -r {EXTRA}`."
        )
    # Every frame lasts as long here, so the last one is sent again until its time is over.
    shown = [*frames, *[frames[-1]] * (LAST_MS // FRAME_MS - 1)]
    words = [program, "-loglevel", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    words += ["-s", f"{frames[0].width}x{frames[0].height}", "-r", str(1000 // FRAME_MS), "-i", "-"]
    # Half the colours, as players ask for; the index first, so that a browser plays at once.
    words += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20", "-movflags", "+faststart"]
    try:
        done = subprocess.run(
            [*words, str(file.resolve())], input=b"".join(one.tobytes() for one in shown),
            capture_output=True, check=False, timeout=ENCODE_S,
        )  # fmt: skip
        said = done.stderr.decode(errors="replace").strip().splitlines() if done.returncode else []
        broken = bool(done.returncode)
    except (OSError, subprocess.TimeoutExpired) as error:
        said, broken = [str(error)], True
    if broken or not file.is_file():
        file.unlink(missing_ok=True)
        return None, f"The film as MP4 could not be written: {(said or ['no word'])[-1][:200]}"
    return file, ""


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
