"""Runs side by side: what a comparing page draws, read from their folders. Imports no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np

from engine.analysis.likeness import MEASURES, Measure, joint_map, measures_of
from engine.core.events import SnapshotSaved, StageStarted, Stepped
from engine.run.folder import RunFolder

PORTRAIT = "portrait.npz"
COLUMNS = 60  # of a gap map: runs of any length share one axis
COSINE_BINS = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run of a comparison, as far as it has come."""

    run: RunFolder
    layers: list[str]  # BatchNorm layers, in order of execution
    gaps: (
        np.ndarray
    )  # [layers, COLUMNS], the gap over the course of the synthesis; nan where unknown
    frames: list[tuple[float, str]]  # (share of the synthesis done, file), in order
    portrait: dict[str, np.ndarray] | None  # None until the images are made


def open_side(run: RunFolder) -> Side:
    """Read a run's synthesis: its gap map, its film, its portrait."""
    total, layers = 1, []
    steps: list[tuple[int, list[float]]] = []
    frames: dict[int, str] = {}
    for _, event in run.events():
        if isinstance(event, StageStarted) and event.stage == "synthesis":
            total = max(event.total_steps, 1)
        elif isinstance(event, Stepped) and event.stage == "synthesis" and event.bn_gap:
            steps.append((event.step, event.bn_gap))
        elif isinstance(event, SnapshotSaved) and event.name == "images":
            frames[event.step] = event.file
        elif hasattr(event, "bn_layers"):
            layers = list(event.bn_layers)
    film = [(min(step / total, 1.0), file) for step, file in sorted(frames.items())]
    return Side(
        run=run, layers=layers, gaps=_resample(steps, total, len(layers)), frames=film,
        portrait=_portrait(run),
    )  # fmt: skip


def _portrait(run: RunFolder) -> dict[str, np.ndarray] | None:
    try:
        with np.load(run.snapshot(PORTRAIT), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def _resample(steps: list[tuple[int, list[float]]], total: int, layers: int) -> np.ndarray:
    """The latest gap known at each of COLUMNS moments, evenly placed over the synthesis."""
    grid = np.full((layers, COLUMNS), np.nan)
    for step, gaps in sorted(steps, key=lambda one: one[0]):
        column = min(int(step / total * COLUMNS), COLUMNS - 1)
        if len(gaps) == layers:
            grid[:, column:] = np.array(gaps)[:, None]
    if len(steps) == 1:  # images that are taken as they are
        return np.repeat(np.array(steps[0][1])[:, None], COLUMNS, axis=1)
    last = max((step for step, _ in steps), default=0)
    grid[:, int(np.ceil(last / total * COLUMNS)) :] = np.nan
    return grid


def frame_at(side: Side, share: float) -> str | None:
    """The file of the newest frame at a share of the synthesis in [0, 1]; the first before any."""
    past = [file for at, file in side.frames if at <= share + 1e-9]
    return past[-1] if past else next((file for _, file in side.frames), None)


def gap_difference(one: Side, other: Side) -> np.ndarray | None:
    """log10 of other's gap over one's, [layers, COLUMNS]; None where their layers are not the same.

    -1 where the other's gap is ten times smaller, 0 where they are equal.
    """
    if one.layers != other.layers or not one.layers:
        return None
    floor = 1e-6
    ratio: np.ndarray = np.maximum(other.gaps, floor) / np.maximum(one.gaps, floor)
    logs: np.ndarray = np.log10(ratio)
    return logs


def measure_table(sides: Sequence[Side]) -> list[dict[str, Any]]:
    """A row for each measure: its words, and its value for every side (None where it cannot be told)."""
    values = [measures_of(side.portrait) if side.portrait else {} for side in sides]
    return [
        _words(measure) | {"values": [one.get(measure.name) for one in values]}
        for measure in MEASURES
    ]


def _words(measure: Measure) -> dict[str, str]:
    return {k: v for k, v in asdict(measure).items() if isinstance(v, str)}


def feature_map(sides: Sequence[Side]) -> list[np.ndarray] | None:
    """Each side's images on one plane [n, 2]; None where portraits are missing or of other networks."""
    portraits = [side.portrait for side in sides if side.portrait]
    widths = {portrait["features"].shape[1] for portrait in portraits}
    if len(portraits) < len(sides) or len(widths) != 1:
        return None
    return joint_map(portraits)


def cosine_histogram(side: Side, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """(centres, shares) of the cosines of pairs, `name` being pixel_cosines or feature_cosines."""
    if side.portrait is None or not side.portrait[name].size:
        return None
    counts, edges = np.histogram(
        side.portrait[name].astype(np.float64), bins=COSINE_BINS, range=(-1, 1)
    )
    return (edges[1:] + edges[:-1]) / 2, counts / counts.sum()
