"""What the whole student has learned before its blocks are settled, kept in the run's folder."""

from collections.abc import Generator

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from engine.core.events import Event
from engine.core.sampling.randomness import stream
from engine.models.graph.walk import Walk, WalkPlan
from engine.quantization.base import Distiller, QuantizationMethod
from engine.quantization.student import fit_block, laid_out
from engine.run.context import Context
from engine.run.folders.damage import quarantined
from engine.run.folders.folder import write_atomically
from engine.run.stages.quantization.watch import watch

FILE = "distilled.safetensors"
WHOLE = "distillation"  # the part of the stage, beside the blocks
FIT_IMAGES = 64  # that activations are placed by, as many as a block's of a finished student


def learned_by_all(
    context: Context,
    method: QuantizationMethod,
    network: nn.Module,
    images: Tensor,
    steps: tuple[int, int],  # before it, and of the whole stage
) -> Generator[Event, None, dict[str, Tensor] | None]:
    """What training the whole student gives, for a method that does; from the folder where it is there."""
    if not method.steps_of_the_whole():
        return None
    learned = read_learned(context)
    if learned is None:
        machine = distiller_of(context, method, network, images)
        assert machine is not None
        yield from watch(context, machine, WHOLE, *steps)
        learned = keep_learned(context, machine.learned())
        context.checkpoint.clear()
    return learned


def distiller_of(
    context: Context, method: QuantizationMethod, network: nn.Module, images: Tensor
) -> Distiller | None:
    """The method's trainer for the student that begins as `network`; None where it has none."""
    walked = WalkPlan(context.teacher, context.blocks)
    few = images[:FIT_IMAGES]

    def fit(student: nn.Module) -> None:
        walk = Walk(student, walked, few, context.at_once(len(few)))
        for block in context.blocks:
            fit_block(student, block, walk.to(block))
            walk.through(block)

    return method.distiller(
        network, context.blocks, context.plan, images,
        stream(context.recipe.seed, "quantization", "distillation"),
        fit=fit, classifier=context.output.compares_scores,
    )  # fmt: skip


def keep_learned(context: Context, learned: dict[str, Tensor]) -> dict[str, Tensor]:
    """Write it for good; and give it back as a resumed run would read it."""
    tensors = {name: value.cpu().contiguous() for name, value in learned.items()}
    write_atomically(context.folder.path / FILE, save(tensors))
    return laid_out(learned)


def read_learned(context: Context) -> dict[str, Tensor] | None:
    """What was learned, as it lay in memory; None where it is not there, or not to be read."""
    file = context.folder.path / FILE
    if not file.exists():
        return None
    try:
        return laid_out(load_file(file, device=str(context.device)))
    except (OSError, SafetensorError):
        quarantined(file)
        return None
