"""Runs side by side: what a comparing page draws, read from their folders. Imports no torch."""

from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np

from engine.core.events import SnapshotSaved, StageStarted, Stepped
from engine.run.folders.folder import RunFolder

STATISTICS = ("image-statistics.npz", "portrait.npz")  # what older runs call it
COLUMNS = 60  # of a gap map: runs of any length share one axis
MOST_POINTS = 300  # of a line
TOLD = {"confidence", "class_spread"}  # what is drawn over the course of a synthesis, the gap aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run of a comparison, as far as it has come."""

    run: RunFolder
    total: int  # steps of its synthesis; 1 where images are taken as they are
    layers: list[str]  # BatchNorm layers, in order of execution
    gaps: list[tuple[int, list[float]]]  # (step, gap of every layer), in order
    values: dict[str, list[tuple[int, float]]]  # (step, value) of what was told along the way
    frames: list[tuple[int, str]]  # (step, file), in order
    statistics: dict[str, np.ndarray] | None  # None until the images are made
    gap_by: str = (
        "channel"  # what its gaps are in units of; "" in runs of older versions: the layer
    )
    begun: bool = True  # its network is loaded, so that `layers` are known


def open_side(run: RunFolder) -> Side:
    """Read a run's synthesis: its gaps, its film, its image statistics."""
    total, layers, gap_by, begun = 1, [], "channel", False
    gaps: dict[int, list[float]] = {}
    values: dict[str, dict[int, float]] = {name: {} for name in TOLD}
    frames: dict[int, str] = {}
    for _, event in run.events():
        if isinstance(event, StageStarted) and event.stage == "synthesis":
            total = max(event.total_steps, 1)
            gap_by = gap_by and event.gap_by  # one resumed from an older version is mixed
        elif isinstance(event, Stepped) and event.stage == "synthesis":
            if event.bn_gap:
                gaps[event.step] = event.bn_gap
            for name in TOLD & event.values.keys():
                values[name][event.step] = event.values[name]
        elif isinstance(event, SnapshotSaved) and event.name == "images":
            frames[event.step] = event.file
        elif hasattr(event, "bn_layers"):
            layers, begun = list(event.bn_layers), True
    return Side(
        run=run, total=total, layers=layers, gaps=sorted(gaps.items()),
        values={name: sorted(told.items()) for name, told in values.items()},
        frames=sorted(frames.items()), statistics=_statistics(run), gap_by=gap_by, begun=begun,
    )  # fmt: skip


def _statistics(run: RunFolder) -> dict[str, np.ndarray] | None:
    kept = [path for name in STATISTICS if (path := run.snapshot(name)).exists()]
    try:
        with np.load(kept[0], allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (IndexError, OSError, ValueError, EOFError, BadZipFile):
        return None


def gap_grid(side: Side, steps: int = 0) -> np.ndarray:
    """[layers, COLUMNS]: the latest gap known at moments evenly placed over so many steps; else nan.

    Without `steps` it is the whole of the side's own synthesis: columns are shares of it.
    """
    steps = steps or side.total
    grid = np.full((len(side.layers), COLUMNS), np.nan)
    for step, gaps in side.gaps:
        column = min(int(step / steps * COLUMNS), COLUMNS - 1)
        if len(gaps) == len(side.layers):
            grid[:, column:] = np.array(gaps)[:, None]
    if side.gaps and side.total == 1:  # images that are taken as they are, at any moment
        return np.repeat(np.array(side.gaps[0][1])[:, None], COLUMNS, axis=1)
    last = max((step for step, _ in side.gaps), default=0)
    grid[:, int(np.ceil(last / steps * COLUMNS)) :] = np.nan
    return grid


def frame_at(side: Side, step: float) -> str | None:
    """The file of the newest frame at a step; the first before any, the last beyond the end."""
    past = [file for at, file in side.frames if at <= step + 1e-6]
    return past[-1] if past else next((file for _, file in side.frames), None)


def course(side: Side, name: str, steps: int = 0) -> tuple[list[float], list[float]] | None:
    """A number over the synthesis, (x, y), thinned to MOST_POINTS: "gap" (the layers' mean) or of TOLD.

    x are steps where their number is given, shares of the side's own synthesis otherwise. Images that
    are taken as they are have a number all along. None where it was not told.
    """
    gaps = [(step, float(np.mean(gap))) for step, gap in side.gaps] if name == "gap" else None
    points = gaps if gaps is not None else side.values.get(name, [])
    if not points:
        return None
    if side.total == 1:
        return [0.0, float(steps or 1)], [points[0][1]] * 2
    every = -(-len(points) // MOST_POINTS)
    kept = points[::-every][::-1]  # the newest is always among them
    return [step if steps else step / side.total for step, _ in kept], [y for _, y in kept]


def gap_difference(one: Side, other: Side, steps: int = 0) -> np.ndarray | None:
    """log10 of other's gap over one's, [layers, COLUMNS]; None where layers or measures are not the same.

    -1 where the other's gap is ten times smaller, 0 where they are equal, nan where one has none. Columns
    are as in `gap_grid`.
    """
    if one.layers != other.layers or not one.layers or one.gap_by != other.gap_by:
        return None
    floor = 1e-6
    theirs, ours = (np.maximum(gap_grid(side, steps), floor) for side in (other, one))
    ratio: np.ndarray = theirs / ours
    logs: np.ndarray = np.log10(ratio)
    return logs
