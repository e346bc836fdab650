"""Arrays that a run kept as files, as tables: channels, what its images are like, columns once rounded."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from engine.export.sheets import Row, Sheets, side_by_side

Arrays = dict[str, NDArray[Any]]
STATISTICS = ("image-statistics.npz", "portrait.npz")  # what older runs call it
# What is known of each image, frequency, layer, class and pair of images.
_OF = {
    "images": ("classes", "margin"), "frequencies": ("frequencies", "power"),
    "layers": ("spread", "deviation_spread", "bn_distance"),
    "classes": ("class_name", "class_probability"), "pairs": ("pixel_cosines", "feature_cosines"),
}  # fmt: skip
_NONE: NDArray[Any] = np.zeros(())


def channels(snapshots: Path, last: str, layers: list[str]) -> list[Row]:
    """Every channel's mean and deviation as BatchNorm remembers them, and as the images ended with."""
    target, ended = _arrays(snapshots / "target.npz"), _arrays(snapshots / last)
    offsets = target.pop("offsets", np.zeros(0, int))
    if len(offsets) != len(layers) + 1:
        return []
    whose = np.repeat(np.arange(len(layers)), np.diff(offsets))
    known = {f"remembered.{k}": v for k, v in target.items()} | {
        f"images.{k}": v for k, v in ended.items()
    }
    columns = {k: v.tolist() for k, v in known.items() if v.shape == whose.shape}
    return [
        {"layer": layers[of], "channel": place - int(offsets[of])}
        | {k: v[place] for k, v in columns.items()}
        for place, of in enumerate(whose.tolist())
    ]


def image_statistics(snapshots: Path) -> Sheets:
    """What the finished images are like, by image, frequency, layer, class and pair."""
    kept = (file for name in STATISTICS if (file := snapshots / name).is_file())
    found = _with_names(_arrays(next(kept, snapshots / STATISTICS[0])))
    name = "image-statistics"
    tables = {
        f"{name}-{of}": side_by_side(
            {key: found[key].tolist() for key in keys if found.get(key, _NONE).ndim == 1}
        )
        for of, keys in _OF.items()
    }
    if found.get("features", _NONE).ndim == 2:
        tables[f"{name}-features"] = side_by_side(
            {f"feature {k}": column.tolist() for k, column in enumerate(found["features"].T)}
        )
    single = {key: value.item() for key, value in found.items() if value.ndim == 0}
    return {name: [single] if single else []} | tables


def _with_names(found: Arrays) -> Arrays:
    """The names of the classes that were seen, each at the number of its class."""
    names, shares = found.get("class_names"), found.get("class_probability")
    if names is None or shares is None:
        return found
    seen = np.unique(found["classes"]) if "classes" in found else np.zeros(0, int)
    placed = np.full(len(shares), "", dtype=object)
    if len(seen) == len(names):
        placed[seen] = names
    return found | {"class_name": placed}


def columns(
    snapshots: Path, saved: Iterable[Row], blocks: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Each column of a layer as it was rounded: the error so far, and what nearest rounding has there.

    `saved`: the events that tell of the files, a file a block.
    """
    rows: list[Row] = []
    for event in saved:
        found = _arrays(snapshots / Path(event["file"]).name)
        at = int(event["values"]["block"])
        names = ("layer", "column", "error", "nearest")
        if at >= len(blocks) or not all(name in found for name in names):
            continue
        paths = blocks[at]["layers"]
        lists = (found[name].tolist() for name in names)
        rows += [
            {"block": blocks[at]["name"], "layer": paths[int(layer)], "column": int(column)}
            | {"error": error, "nearest": nearest}
            for layer, column, error, nearest in zip(*lists, strict=True)
        ]
    return rows


def _arrays(file: Path) -> Arrays:
    if not file.is_file():
        return {}
    try:
        with np.load(file, allow_pickle=False) as found:
            return {key: found[key] for key in found.files}
    except (OSError, ValueError, BadZipFile):  # torn
        return {}
