"""Benchmarks: figures that are measured when asked for, never in tests. `python -m engine bench NAME`."""

import copy
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.core.errors import UserError
from engine.core.layout import channels_last
from engine.core.sampling.randomness import stream
from engine.models.card import ModelCard
from engine.models.cards.sources import discover_cards
from engine.run.benches.parity import parity
from engine.synthesis.base import Request
from engine.synthesis.methods.genie import Genie, GenieSettings
from engine.synthesis.statistics.batchnorm import StoredStatistics, layer_gap

# Those with options of their own: advice/, effects/, speed/, start/, ablation.py, rates.py, exports.py.
EFFECTS, QUANTIZERS, ABLATION = "effects", "quantizers", "ablation"
RATES, EXPORT = "rates", "export"
BITS_SLIDER, FILM_ANSWERS, OUTCOMES = "bits-slider", "film-answers", "outcomes"
ADVICE = "advice"


def names() -> list[str]:
    """The benchmarks there are."""
    own = (
        EFFECTS,
        QUANTIZERS,
        ABLATION,
        RATES,
        EXPORT,
        BITS_SLIDER,
        FILM_ANSWERS,
        OUTCOMES,
        ADVICE,
    )
    return sorted([*_BENCHMARKS, *_ON_DATA, *own])


def run(name: str, data: Path | None = None, runs: Path = Path("runs")) -> dict[str, Any]:
    """Measure, and return plain data; `data` is the folder of a benchmark that works on real data."""
    if name in _BENCHMARKS:
        return _BENCHMARKS[name]()
    return _ON_DATA[name](needed(data, name), runs)


def needed(data: Path | None, name: str) -> Path:
    """The folder of real data; UserError where it is not given."""
    if data is None:
        raise UserError(
            f"benchmark {name!r} works on real data; give its folder with --data FOLDER"
        )
    return data.expanduser()


def _genie(
    card: ModelCard,
    teacher: nn.Module,
    stored: StoredStatistics,
    settings: GenieSettings,
    images: int,
) -> Genie:
    return Genie(
        Request(
            teacher=teacher,
            stored=stored,
            settings=settings,
            shape=(images, *card.image_shape),
            rng=stream(0, "bench"),
            mean=card.mean,
            std=card.std,
        )
    )


def _swing() -> dict[str, Any]:
    """What swing convolution changes: BatchNorm gap, and how far the images differ, from one seed."""
    card = discover_cards()["resnet20-fashion"]
    teacher = card.load()
    channels_last(teacher)
    stored = StoredStatistics(teacher, card.image_shape)
    made = {}
    for swing in (True, False):
        settings = GenieSettings(steps=160, swing=swing)
        machine = _genie(card, teacher, stored, settings, 128)
        for _ in range(settings.steps):
            machine.step()
        made[swing] = machine.images()
    noise = torch.randn(made[True].shape, generator=stream(0, "noise"))
    look = copy.deepcopy(teacher)
    gaps = {
        name: statistics.mean(layer_gap(stored.observe(look, images), stored))
        for name, images in (("noise", noise), ("swing", made[True]), ("no swing", made[False]))
    }
    difference = float((made[True] - made[False]).square().mean().sqrt())
    checkerboard = {f"checkerboard, swing={k}": _checkerboard(v) for k, v in made.items()}
    return {"bn_gap": gaps, "rms_difference": difference, **checkerboard}


def _checkerboard(images: torch.Tensor) -> float:
    """The share of the images' energy at the highest spatial frequencies (the outer half of the spectrum)."""
    power = torch.fft.fft2(images - images.mean((2, 3), keepdim=True)).abs().square()
    rows = torch.fft.fftfreq(images.shape[2]).abs()[:, None]
    cols = torch.fft.fftfreq(images.shape[3]).abs()[None, :]
    outer = (rows > 0.25) & (cols > 0.25)
    return float(power[..., outer].sum() / power.sum())


def _first_light() -> dict[str, Any]:
    """Three seeds of the triad noise / genie / real, and the control `nearest`, at W4A4 and W2A4."""
    from engine.run import RUNS, new_recipe
    from engine.run.folders.tail import follow
    from engine.run.workers.launch import start

    results: dict[str, Any] = {}
    choices = [(s, "genie-m") for s in ("noise", "genie", "real")] + [("genie", "nearest")]
    for bits in (4, 2):
        for synthesis, quantization in choices:
            tops = []
            for seed in range(3):
                chosen = new_recipe(
                    preset="quick", model="resnet20-fashion", synthesis=synthesis,
                    quantization=quantization, weight_bits=bits, activation_bits=4, seed=seed,
                )  # fmt: skip
                folder = start(chosen, Path(RUNS))
                for _ in follow(folder):
                    pass
                result = folder.result()
                tops.append(result["quantized_top1"] if result else None)
            results[f"W{bits}A4 {synthesis} {quantization}"] = tops
    return results


_BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "first-light": _first_light,
    "swing": _swing,
}
_ON_DATA: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "parity": parity,
    "parity-resnet56": partial(parity, depth=56),
}
