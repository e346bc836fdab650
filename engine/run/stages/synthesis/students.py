"""Students at work while images are made, and the weights that one of them leaves to be quantized."""

import copy
from collections.abc import Iterator, Mapping

from safetensors.torch import load_file, save
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.events import Event, Noted
from engine.quantization import discover_methods
from engine.quantization.trainable_student import TrainedStudent
from engine.run.context import Context
from engine.run.folders.folder import write_atomically
from engine.run.recipes.layer_bits import plain_settings
from engine.run.stages.quantization.correct import with_equal_ranges
from engine.run.stages.synthesis.reuse import CO_TRAINING, STUDENT_FILE, asks_for_student


def student_for(context: Context) -> TrainedStudent | None:
    """A student as the recipe will quantize it, where its images are made with one; else None.

    Its grids are placed by the quantizer's own rules, and its channels are equalised where the
    quantizer's will be: so what is learned for them holds afterwards.
    """
    recipe = context.recipe
    if not asks_for_student(recipe.synthesis_settings):
        return None
    method = discover_methods()[recipe.quantization]
    settings = method.Settings(**plain_settings(recipe.quantization_settings))
    teacher = with_equal_ranges(context, settings).teacher
    return TrainedStudent(teacher, context.blocks, context.plan, settings)


def keep_weights(context: Context, weights: Mapping[str, Tensor]) -> None:
    """Write what a student has learned beside the run's images; nothing where none did."""
    if weights:
        tensors = {name: weight.cpu().contiguous() for name, weight in weights.items()}
        write_atomically(context.folder.path / STUDENT_FILE, save(tensors))


def network_to_quantize(context: Context) -> nn.Module:
    """What the run's student begins as: the teacher, or a copy with the weights trained beside the images."""
    if not _co_trained(context):
        return context.teacher
    file = context.folder.path / STUDENT_FILE
    if not file.exists():
        raise UserError(
            f"run {context.folder.run_id!r} has lost {STUDENT_FILE}, the weights trained beside its images; "
            "delete the run and start it again"
        )
    network = copy.deepcopy(context.teacher)
    network.load_state_dict(load_file(file, device=str(context.device)), strict=False)
    return network


def announce_start(context: Context) -> Iterator[Event]:
    """Say so where quantization does not start from the teacher's weights."""
    if _co_trained(context):
        recipe = context.recipe
        yield Noted(
            message=f"Quantization starts from weights that were trained for W{recipe.weight_bits}"
            f"A{recipe.activation_bits} beside the images, also where each layer gets bits of its own "
            "later; all errors are measured against the network as it came."
        )


def _co_trained(context: Context) -> bool:
    return bool(context.recipe.synthesis_settings.get(CO_TRAINING))
