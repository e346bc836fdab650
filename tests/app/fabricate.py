"""A run folder as a worker would leave it, made without torch and within a blink."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.core import events
from engine.run.folders.folder import RunFolder
from engine.run.recipes.recipe import Recipe

BLOCKS = {"conv1": ["conv1"], "layer1.0": ["layer1.0.conv1", "layer1.0.conv2"], "fc": ["fc"]}
BN_LAYERS = ["bn1", "layer1.0.bn1", "layer1.0.bn2"]
CHANNELS = 6
TILE, COLUMNS, ROWS = 8, 8, 4
STEPS = 40
SETTINGS = {"quantization_settings": {"steps": 10}, "synthesis_settings": {"steps": 40}}
RECIPE = {"model": "resnet20-fashion", "images": 32, "preset": "quick"}


@dataclass(frozen=True, kw_only=True)
class Fabricated:
    """What is written, and how the run ends: done, failed, cancelled, or running (not at all)."""

    state: str = "done"
    synthesis: str = "genie"
    top1: float = 0.88
    labels: bool = True
    seed: int = 0
    steps: int = STEPS  # of the synthesis
    statistics: bool = False  # as runs of an older version have none
    quantization: str = "genie-m"
    views: bool = (
        False  # looks inside the quantizer, and all that is measured of a layer; older: none
    )


def fabricate(runs: Path, made: Fabricated | None = None) -> RunFolder:
    """The whole run at once."""
    made = made or Fabricated()
    folder = RunFolder.create(
        runs,
        Recipe(
            synthesis=made.synthesis,
            seed=made.seed,
            quantization=made.quantization,
            **RECIPE,
            **SETTINGS,
        ),
    )
    for _ in writing(folder, made):
        pass
    if made.statistics:
        np.savez(folder.snapshots / "image-statistics.npz", **_statistics(made.seed))
    if made.state == "done":
        folder.finish(result(folder, made))
    elif made.state == "failed":
        failure = events.RunFailed(message="Memory ran out.", advice="Take fewer images.")
        folder.append(failure)
    folder.write_status(made.state)
    return folder


def writing(folder: RunFolder, made: Fabricated) -> Iterator[None]:
    """The same, event by event, for whoever wants to look on."""
    folder.write_status("running")
    for event in (
        *_beginning(),
        *_synthesis(folder, made.steps),
        *_quantization(made),
        *_evaluation(made),
    ):
        folder.append(event)
        yield


def _beginning() -> Iterator[events.Event]:
    layers = [
        {
            "path": path,
            "kind": "Conv2d",
            "shape": [CHANNELS, CHANNELS, 3, 3],
            "parameters": 324,
            "weight_bits": 4,
            "activation_bits": 4,
            "block": block,
        }
        for block, paths in BLOCKS.items()
        for path in paths
    ]
    blocks = [{"name": name, "layers": paths} for name, paths in BLOCKS.items()]
    yield events.RunStarted(
        device="cpu", threads=1, versions={}, bn_layers=BN_LAYERS, blocks=blocks, layers=layers
    )


def _synthesis(folder: RunFolder, steps: int) -> Iterator[events.Event]:
    rng = np.random.default_rng(0)
    stage, count = "synthesis", CHANNELS * len(BN_LAYERS)
    target = {"mean": rng.normal(size=count), "std": rng.uniform(0.5, 2, count)}
    offsets = np.arange(0, count + 1, CHANNELS)
    np.savez(folder.snapshots / "target.npz", **target, offsets=offsets)
    yield events.SnapshotSaved(stage=stage, step=0, name="target", file="target.npz")
    yield events.StageStarted(stage=stage, total_steps=steps)
    for step in range(1, steps + 1):
        left = float(np.exp(-step / 10))
        gap = [left * (layer + 1) for layer in range(len(BN_LAYERS))]
        yield events.Stepped(
            stage=stage,
            part="batch 1",
            step=step,
            losses={"batchnorm": sum(gap), "image": left / 10},
            values={"confidence": 1 - left, "class_spread": 1 + 9 * (1 - left), "steps_per_s": 9.5},
            bn_gap=gap,
        )
        if step % 5 == 1:
            yield from _snapshots(folder, step, target, left)
    yield events.StageFinished(stage=stage, seconds=4.0)


def _snapshots(
    folder: RunFolder, step: int, target: dict[str, Any], left: float
) -> Iterator[events.Event]:
    rng = np.random.default_rng(step)
    pixels = rng.integers(0, 255, (ROWS * TILE, COLUMNS * TILE), dtype=np.uint8)
    images, channels = f"images-{step:06d}.webp", f"channels-{step:06d}.npz"
    Image.fromarray(pixels).save(folder.snapshots / images, lossless=True)
    np.savez(
        folder.snapshots / channels, mean=target["mean"] + left, std=target["std"] * (1 + left)
    )
    values = {"columns": COLUMNS, "rows": ROWS, "tile": TILE}
    stage = "synthesis"
    yield events.SnapshotSaved(stage=stage, step=step, name="images", file=images, values=values)
    yield events.SnapshotSaved(stage=stage, step=step, name="channels", file=channels)


def _statistics(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "features": rng.normal(size=(12, 5)).astype(np.float16),
        "classes": np.arange(12, dtype=np.int32) % 3,
        "class_probability": np.full(3, 1 / 3),
        "margin": rng.uniform(size=12),
        "pixel_cosines": rng.uniform(-1, 1, 66).astype(np.float16),
        "feature_cosines": rng.uniform(-1, 1, 66).astype(np.float16),
        "frequencies": np.array([0.125, 0.25, 0.375, 0.5]),
        "power": np.array([0.4, 0.3, 0.2, 0.1]),
        "spread": np.array([0.2, 0.3, 0.4]),
        "deviation_spread": np.array([0.1, 0.2, 0.3]),
        "bn_distance": np.array([0.1, 0.2, 0.3]),
        "confidence": np.array(0.8),
        "classes_seen": np.array(2.5),
        "total_variation": np.array(0.7),
    }


def _quantization(made: Fabricated) -> Iterator[events.Event]:
    stage, step = "quantization", 0
    yield events.StageStarted(stage=stage, total_steps=10 * len(BLOCKS))
    if made.quantization == "mixed":
        yield events.BitsChosen(weight_bits=BITS, report=ALLOCATION)
    for index, (block, paths) in enumerate(BLOCKS.items()):
        yield events.BlockStarted(block=block, index=index, total_steps=10)
        for _ in range(10):
            step += 1
            losses = {"reconstruction": 1 / step, "rounding": 0.1}
            yield events.Stepped(stage=stage, part=block, step=step, losses=losses)
            if made.views and step % 3 == 1:
                yield look(FORM_OF[made.quantization], block, step)
        for path in paths:
            local = 26.0 - 6 * index
            values = {
                "sqnr_local_db": local,
                "sqnr_accumulated_db": local - 3,
                "flipped": 0.1,
                "weight_bits": 4,
                "activation_bits": 4,
            }
            if made.views:
                values |= MEASURED
                yield look("codes", block, step, path)
            yield events.LayerMeasured(path=path, block=block, values=values)
    yield events.StageFinished(stage=stage, seconds=3.0)


def look(form: str, block: str, step: int, what: str = "") -> events.Viewed:
    """A look of that form, with numbers that depend on the step."""
    share = step / (10 * len(BLOCKS))
    arrays, values = {
        "soft-rounding": (
            {"centres": [0.1, 0.5, 0.9], "shares": [share / 2, 1 - share, share / 2]},
            {"decided": share, "up": 0.5},
        ),
        "path": (
            {"at": [0, 1], "error": [0.1, 0.1 + share], "nearest": [0.2, 0.5], "column": [0, 1],
             "weight": [0.3, -0.2], "taken": [0.25, None], "levels": [-0.25, 0, 0.25]},
            {"error": 0.1 + share, "nearest": 0.5},
        ),
        "levels": (
            {"centres": [-1, 1], "shares": [0.5, 0.5], "levels": [-1 + share, 1 - share]},
            {"turn": step % 10, "mse": 1 / step},
        ),
        "confidence": (
            {"centres": [0.5, 0.9], "shares": [1 - share, share]},
            {"decided": share, "temperature": 10.0},
        ),
        "taps": (
            {"places": [-1, 0, 1], "centre": [0.3, 0.4, 0.3], "outer": [0.0, 1.0, 0.0]},
            {"split": float(step > 3), "centre_std": 0.5, "outer_std": 0.1, "ratio": 5.0},
        ),
        "factors": (
            {"sweep": [0, 1], "relative_error": [0.5, 0.5 - share / 4]},
            {"rank": 4.0, "start": 0.5, "end": 0.5 - share / 4},
        ),
        "deviations": (
            {"rank": [0, 1], "sigma": [2.0, 1.0], "error": [0.2, 0.1 + share], "row": [0, 0, 1, 1],
             "column": [0, 1, 0, 1], "float": [0.1, 0.9, -0.3, 2.0], "quantized": [0, 1, 0, 2],
             "difference": [-0.1, 0.1, 0.3, 0.0]},
            {"channel": 3.0, "spread": 2.0, "noise": 0.01},
        ),
        "signs": (
            {"place": [-1, 0, 1], "slope": [share, 1, share], "centres": [-0.5, 0.5], "shares": [0.4, 0.6]},
            {"entropy": 0.99, "plain": 0.9 + share / 20, "felt": share},
        ),
        "fixing": (
            {"centres": [-1, 1], "free": [0.2, 0.2], "now": [0, 0.5], "held": [0.4, 0.2],
             "round": [1, 2, 2], "value": [0, 0, 0.5]},
            {"round": 2.0, "fixed": 0.6, "unique": 2.0, "entropy": 0.918},
        ),
        "orders": (
            {"at": [0.5, 1], "importance": [0.1, 0.2], "magnitude": [0.1, 0.3], "random": [0.2, 0.4]},
            {"importance": 0.2, "magnitude": 0.3, "random": 0.4, "nearest": 0.5, "chosen": 0.0},
        ),
        "widths": (
            {"bits": [8, 3], "before": [0.9, 0.5], "after": [0.9, 0.5 + share / 4]},
            {"float_before": 0.9, "float_after": 0.91, "images": 1000.0, "labelled": 1.0},
        ),
        "slopes": ({"step": [1, 2], "norm": [2.0, 1.0]}, {"norm": 1.0}),
        "borders": (
            {"value": [0, 1], "lowest": [0.4, 0.4], "middle": [0.5, 0.6], "highest": [0.6, 0.7],
             "sample 0": [0.4, 0.7]},
            {"farthest": share / 2},
        ),
        "codes": (
            {"places": [-0.5, 0.5, 1.5, 2.5], "floats": [0.1, 0.4, 0.4, 0.1], "codes": [0, 1, 2, 3],
             "taken": [0.2, 0.4, 0.4, 0], "channel_shares": [0.5, 0.5], "channel_levels": [-1, 0, 1]},
            {"channel": 3, "low": -1.5, "high": 1.5},
        ),
    }[form]  # fmt: skip
    return events.Viewed(
        stage="quantization", part=block, step=step, form=form, what=what or block, arrays=arrays,
        values=values,
    )  # fmt: skip


BITS = {"conv1": 8, "layer1.0.conv1": 3, "layer1.0.conv2": 5, "fc": 8}
ALLOCATION = {
    "sensitivity": "kl", "cost": "bytes", "solver": "exact", "exact": True, "budget": 1000.0,
    "chosen": {"cost": 900.0, "sensitivity": 0.02, "kl_together": 0.03},
    "greedy": {"cost": 800.0, "sensitivity": 0.03, "kl_together": 0.04},
    "uniform": [
        {"weight_bits": bits, "cost": 250.0 * bits, "sensitivity": 1 / 8**bits, "kl_together": 0.4 / bits}
        for bits in (3, 4, 5)
    ],
    "front": [[500.0, 0.5], [900.0, 0.02], [1500.0, 0.0]],
    "layers": [
        {"path": path, "weight_bits": BITS[path], "sensitivity": {"3": 0.1, "4": 0.02, "5": 0.001}}
        for path in BITS if path.startswith("layer")
    ],
}  # fmt: skip
FORM_OF = {
    "genie-m": "soft-rounding", "aquant": "borders", "gpfq": "path", "lq-nets": "levels",
    "slb": "confidence",
}  # fmt: skip
MEASURED = {
    "sqnr_weights_db": 18.0, "sqnr_activations_db": 30.0, "weight_level_bits": 4.0,
    "weight_entropy_bits": 3.5, "weight_dead_levels": 0.25, "weight_clip_share": 0.001,
    "weight_rmse_steps": 0.31, "weight_cosine": 0.99, "weight_mse": 1e-4, "input_level_bits": 4.0,
    "input_entropy_bits": 2.5, "input_dead_levels": 0.0, "input_clip_share": 0.01,
    "input_rmse_steps": 0.29, "input_cosine": 0.99, "input_mse": 1e-3,
    "mse_local": 0.02, "cosine_local": 0.98, "mse_weights": 0.015, "cosine_weights": 0.985,
    "mse_activations": 0.005, "cosine_activations": 0.995, "mse_accumulated": 0.04,
    "cosine_accumulated": 0.96,
}  # fmt: skip


def _evaluation(made: Fabricated) -> Iterator[events.Event]:
    stage = "evaluation"
    yield events.StageStarted(stage=stage, total_steps=2000)
    for part, top1 in (("teacher", 0.92), ("student", made.top1)):
        for step in (500, 1000):
            values = {"top1": top1} if made.labels else {}
            yield events.Stepped(stage=stage, part=part, step=step, losses={}, values=values)
    yield events.StageFinished(stage=stage, seconds=1.0)


def result(folder: RunFolder, made: Fabricated) -> dict[str, Any]:
    """The numbers of a finished run."""
    top1 = made.top1 if made.labels else None
    return {
        "run": folder.run_id,
        "folder": str(folder.path),
        **json.loads(folder.recipe.to_json()),
        "fp32_top1": 0.92 if made.labels else None,
        "quantized_top1": top1,
        "top1_band": {"fp32": [0.91, 0.93], "quantized": [made.top1 - 0.01, made.top1 + 0.01]},
        "agreement": 0.9,
        "logit_kl": 0.04,
        "test_images": 1000,
        "test_set": "Fashion-MNIST test",
        "bn_gap": {"first": 2.0, "last": 0.1},
        "layers": [_weighed(path) for paths in BLOCKS.values() for path in paths] * made.views,
        "size_bytes": {"fp32": 1_080_000, "quantized": 140_000},
        "seconds": {"synthesis": 4.0, "quantization": 3.0, "evaluation": 1.0},
        "peak_memory_mb": 300.0,
        "finished_s": time.time(),
        **(WEIGHED if made.views else {}),
    }


WEIGHED = {
    "stored_bits": {"codes": 5184, "grids": 960, "floats": 2048},
    "bit_operations": {"fp32": 32_000_000_000, "quantized": 500_000_000},
}


def _weighed(path: str) -> dict[str, Any]:
    return {"path": path, "stored_bits": 1296, "bit_operations": 125_000_000}
