"""One step of GENIE-M in each block, beside the bare block's pass forward and back and the published loop."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.layout import channels_last, laid_out, reads_plainly
from engine.core.sampling.randomness import stream
from engine.models.cards.sources import listed_card
from engine.models.graph.blocks import Block, find_blocks
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.methods.genie_m import GenieM, GenieMSettings
from engine.quantization.plan import plan_bits
from engine.quantization.student import fit_block, make_student
from engine.run.benches.speed.apart import apart, machine, peak_of
from engine.run.benches.speed.interleaved import Work, compared, interleaved
from engine.run.benches.speed.plain.quantizers import torch_draws
from engine.run.benches.speed.plain.reconstruction import PlainReconstruction

SIZES = {"resnet20-fashion": (32, 9), "efficientnet-lite0": (8, 3)}  # images a step, rounds
BARE, PLAIN, FAST = "bare block", "published loop", "step"
WORKS = (BARE, PLAIN, FAST)
PAIRS = ((FAST, BARE), (FAST, PLAIN))
BATCHES = 2  # of images that lie ready: a step copies its own out of them


def measured(networks: tuple[str, ...], rounds: int | None, tell: Callable[[str], None]) -> Any:
    """Rows of each network, of the mean block: seconds, ratios, memory in a process of its own."""
    rows, told = [], {}
    for name in networks or ("resnet20-fashion",):
        batch, usual = SIZES.get(name, (8, 3))
        tell(f"reconstruction of every block of {name}, {batch} images a step")
        found, blocks, told = apart(_turns, name, batch, rounds or usual)
        peaks = {work: peak_of(prepared, work, name, batch) for work in WORKS}
        for row in found:
            held = {
                "peak_mb": peaks[row["work"]]["peak_mb"],
                "of_peak_mb": peaks[row["over"]]["peak_mb"],
            }
            mean = {key: row[key] / blocks for key in ("cpu_s", "wall_s")}
            rows.append({"network": name, "images": batch, **row, **mean, **held})
    return {"machine": told, "rows": rows}


def _turns(name: str, batch: int, rounds: int) -> tuple[list[dict[str, Any]], int, dict[str, Any]]:
    works = {work: prepared(work, name, batch) for work in WORKS}
    samples = interleaved(works, rounds)
    card = listed_card(name, {})
    blocks = len(find_blocks(card.load(), card.image_shape))
    return compared(samples, PAIRS), blocks, machine(torch.get_num_threads())


def works_for(_network: str) -> tuple[str, ...]:
    """All, whatever the network."""
    return WORKS


def prepared(work: str, name: str, batch: int) -> Work:
    """One of WORKS in all blocks of a bundled network, one after another."""
    card = listed_card(name, {})
    settings = GenieMSettings(batch=batch, warm_up=0.0)  # the regulariser is at work from the start
    return work_of(work, card.load(), card.image_shape, settings)


def work_of(
    work: str, teacher: nn.Module, shape: tuple[int, int, int], settings: GenieMSettings
) -> Work:
    """The same for any network."""
    if not any(map(reads_plainly, teacher.modules())):  # the bare block takes no such care
        channels_last(teacher)
    blocks = find_blocks(teacher, shape)
    images = torch.randn(BATCHES * settings.batch, *shape, generator=stream(0, "bench"))
    walk = Walk(teacher, WalkPlan(teacher, blocks), laid_out(images, teacher), settings.batch)
    student = make_student(
        teacher, blocks, plan_bits(blocks, weight_bits=4, activation_bits=4, edge_rule="brecq")
    )
    steps = []
    for block in blocks:
        x, y = walk.to(block), walk.through(block)
        steps.append(one_block(work, (teacher, student), block, (x, y), settings))

    def each() -> None:
        for step in steps:
            step()

    return each


def one_block(
    work: str,
    networks: tuple[nn.Module, nn.Module],  # teacher and student
    block: Block,
    values: tuple[Tensor, Tensor],  # the block's input, and its output
    settings: GenieMSettings,
) -> Work:
    """A step in one block, of the kind that is asked for."""
    (teacher, student), (x, y) = networks, values
    if work == BARE:
        return _bare(teacher, block, x[: settings.batch])
    fit_block(student, block, x)
    method, rng = GenieM(settings), stream(0, block.name)
    if work == PLAIN:
        return PlainReconstruction(
            student, block, x_teacher=x, x_student=x.clone(), y_teacher=y,
            settings=method.core(), rng=rng, draw=torch_draws(rng),
        ).step  # fmt: skip
    found = method.reconstruct(
        student, block, x_teacher=x, x_student=x.clone(), y_teacher=y, rng=rng
    )
    assert found is not None
    return found.step


def _bare(teacher: nn.Module, block: Block, x: Tensor) -> Work:
    """The float block with the gradients of its input and of its weights."""
    x = x.clone().requires_grad_()
    layers: list[Any] = [teacher.get_submodule(path) for path in block.layers]
    weights: list[Tensor] = [layer.weight for layer in layers]

    def both_ways() -> None:
        for weight in weights:
            weight.requires_grad_()
        torch.autograd.grad(block.run(teacher, x).sum(), [x, *weights])
        for weight in weights:
            weight.requires_grad_(False)

    return both_ways
