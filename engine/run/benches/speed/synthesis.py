"""One step of GENIE-D beside the bare teacher's pass forward and back, and beside the published loop."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from engine.core.layout import channels_last
from engine.core.sampling.randomness import stream
from engine.models.cards.sources import listed_card
from engine.run.benches.speed.apart import apart, machine, peak_of
from engine.run.benches.speed.interleaved import Work, compared, interleaved
from engine.run.benches.speed.plain.synthesis import PlainGenie
from engine.synthesis.base import Request
from engine.synthesis.generators.networks.lean_generator import doublings
from engine.synthesis.methods.genie import Genie, GenieSettings
from engine.synthesis.statistics.batchnorm import StoredStatistics

Shape = tuple[int, int, int]
SIZES = {"resnet20-fashion": (128, 9), "efficientnet-lite0": (16, 3)}  # images a step, rounds
BARE, PLAIN, FAST = "bare pass", "published loop", "step"
LEAN, HALF = "step, lean generator", "step, bfloat16"
WORKS = (BARE, PLAIN, FAST, LEAN, HALF)
PAIRS = tuple((work, over) for work in (FAST, LEAN, HALF) for over in (BARE, PLAIN))


def measured(networks: tuple[str, ...], rounds: int | None, tell: Callable[[str], None]) -> Any:
    """Rows of each network: seconds, ratios, and what each work holds of memory in a process of its own."""
    rows, told = [], {}
    for name in networks or tuple(SIZES):
        images, usual = SIZES.get(name, (16, 3))
        works = works_for(name)
        tell(f"synthesis of {images} images for {name}")
        found, told = apart(_turns, works, name, images, rounds or usual)
        peaks = {work: peak_of(prepared, work, name, images) for work in works}
        for row in found:
            held = {
                "peak_mb": peaks[row["work"]]["peak_mb"],
                "of_peak_mb": peaks[row["over"]]["peak_mb"],
            }
            rows.append({"network": name, "images": images, **row, **held})
    return {"machine": told, "rows": rows}


def works_for(network: str) -> tuple[str, ...]:
    """Those of WORKS that this processor can do, and that are something else for images of this size."""
    large = doublings(*listed_card(network, {}).image_shape[1:]) > 2
    left_out = {LEAN: not large, HALF: not has_bfloat16()}
    return tuple(work for work in WORKS if not left_out.get(work))


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16; elsewhere it is emulated, ten times as slow."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _turns(
    names: tuple[str, ...], network: str, images: int, rounds: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    samples = interleaved({name: prepared(name, network, images) for name in names}, rounds)
    pairs = [pair for pair in PAIRS if pair[0] in names]
    return compared(samples, pairs), machine(torch.get_num_threads())


def prepared(work: str, name: str, images: int) -> Work:
    """One of WORKS, ready to be done again and again."""
    card = listed_card(name, {})
    return work_of(work, card.load(), (images, *card.image_shape), (card.mean, card.std))


def work_of(
    work: str,
    teacher: nn.Module,
    shape: tuple[int, int, int, int],
    normalised: tuple[tuple[float, ...], tuple[float, ...]],
) -> Work:
    """The same for any network: the bare pass, or a step of one of the machines."""
    channels_last(teacher)
    if work == BARE:
        return _bare(teacher, shape)
    settings = GenieSettings(
        precision="bfloat16" if work == HALF else "float32",
        generator="lean" if work == LEAN else "released",
    )
    stored = StoredStatistics(teacher, shape[1:])
    rng = stream(0, "bench")
    genie = Genie(
        Request(
            teacher=teacher, stored=stored, settings=settings, shape=shape, rng=rng,
            mean=normalised[0], std=normalised[1],
        )
    )  # fmt: skip
    if work != PLAIN:
        return genie.step
    return PlainGenie(teacher, stored, shape, genie.parts.canvas.state_dict(), rng).step


def _bare(teacher: nn.Module, shape: tuple[int, int, int, int]) -> Work:
    x = torch.randn(shape, generator=stream(0, "bench"))
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()

    def both_ways() -> None:
        x.grad = None
        teacher(x).sum().backward()

    return both_ways
