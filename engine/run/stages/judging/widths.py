"""What plain rounding to several widths does to the float network, before a method's training and after it.

One look at the end of a run, of methods that make a network ready for any width: weights alone are rounded
to the nearest, by the run's own rules for ranges and edges; inputs stay float, and nothing is corrected.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.events import Viewed
from engine.core.method import View
from engine.quantization.grids.quantizers import WeightQuantizer
from engine.quantization.plan import plan_bits
from engine.run.context import Context
from engine.run.stages.quantization.distil import WHOLE
from engine.run.stages.quantization.quantize import chosen_method
from engine.run.stages.quantization.views import viewed_event
from engine.run.stages.synthesis.held_out_images import load_others
from engine.run.stages.synthesis.students import network_to_quantize

MOST, MOST_LARGE = 1000, 100  # images: a look that costs little beside the judging itself
LARGE = 100  # pixels a side
CHUNK = 100


@torch.no_grad()
def widths_looked_at(context: Context, student: nn.Module) -> Iterator[Viewed]:
    """The look, where the recipe's method asks for one and there are images to judge with."""
    method = chosen_method(context)
    if not method.rounded_to or not method.steps_of_the_whole():
        return
    images, labels = _judged(context)
    layers: dict[str, Any] = {path: student.get_submodule(path) for path in context.plan}
    after = {path: layer.weight_quantizer.trained for path, layer in layers.items()}
    is_kept = all(
        weight is not None for weight in after.values()
    )  # older versions kept codes alone
    if images is None or not is_kept:
        return
    wanted = _answers(context, context.teacher, images) if labels is None else labels
    before = network_to_quantize(context)
    right: dict[str, list[float]] = {"before": [], "after": []}
    for name, learned in (("before", {}), ("after", after)):
        for bits in (None, *method.rounded_to):
            rounded = _rounded(context, before, learned, bits)
            right[name].append(float((_answers(context, rounded, images) == wanted).float().mean()))
    view = View(
        form="widths",
        what="all weights",
        arrays={"bits": torch.tensor(method.rounded_to)}
        | {name: torch.tensor(shares[1:]) for name, shares in right.items()},
        values={f"float_{name}": shares[0] for name, shares in right.items()}
        | {"images": float(len(images)), "labelled": float(labels is not None)},
    )
    yield viewed_event(view, WHOLE, method.steps_of_the_whole())


def _judged(context: Context) -> tuple[Tensor | None, Tensor | None]:
    """Some of the images that the run is judged on, and their labels where they have any."""
    most = MOST_LARGE if context.card.image_shape[1] >= LARGE else MOST
    if context.test is None:
        made = load_others(context)
        return None if made is None else made[:most], None
    labels = context.test.labels
    return context.test.first(most), None if labels is None else labels[:most]


def _rounded(
    context: Context, network: nn.Module, learned: Mapping[str, Tensor], bits: int | None
) -> nn.Module:
    """A copy with the weights that were learned, at their nearest codes; float for None."""
    rounded = copy.deepcopy(network)
    recipe = context.recipe
    plan = plan_bits(
        context.blocks, weight_bits=bits or 0, activation_bits=recipe.activation_bits,
        edge_rule=recipe.edge_rule,
    )  # fmt: skip
    chosen = chosen_method(context).settings
    for path in context.plan:
        layer: Any = rounded.get_submodule(path)
        weight = learned.get(path, layer.weight.detach())
        if bits is not None:
            quantizer = WeightQuantizer(
                plan[path].weight_bits, rule=chosen.weight_range, percentile=chosen.percentile
            )
            quantizer.fit(weight)
            weight = quantizer(weight)
        layer.weight = nn.Parameter(weight.clone(), requires_grad=False)
    return rounded


def _answers(context: Context, model: nn.Module, images: Tensor) -> Tensor:
    """The class that it takes each image for."""
    chunks = images.split(context.at_once(CHUNK))
    return torch.cat([model(context.for_device(part)).argmax(1).cpu() for part in chunks])
