"""Before anything is spent: do the test images' labels belong to the network's outputs?"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from engine.analysis.inputs.label_match import examine_labels
from engine.core.errors import UserError
from engine.core.events import Event, Noted
from engine.data.images import ImageSet
from engine.data.labelling.classes import outside
from engine.run.context import Context

PIXELS = 6_000_000  # of real images that are looked at: 256 small ones, 40 of 224 pixels
MOST_IMAGES = 256
BATCH = 32


def looked_at(shape: Sequence[int]) -> int:
    """How many images of this shape a first look takes."""
    return max(2, min(MOST_IMAGES, PIXELS // (shape[0] * shape[1] * shape[2])))


def require_labels_inside(images: ImageSet | None, outputs: int) -> None:
    """UserError where the images have labels that the network has no output for."""
    if images is not None and images.labels is not None and outputs:
        reason = outside(images.labels.tolist(), outputs, images.name)
        if reason:
            raise UserError(reason)


@torch.no_grad()
def check_labels(context: Context) -> Iterator[Event]:
    """A note where the teacher's answers to some of the test images speak against their labels."""
    images = context.test
    if images is None or images.labels is None or not context.output.has_classes:
        return
    places = images.sample_indices(looked_at(context.card.image_shape))
    pixels = images.at(places)
    answers = [context.teacher(context.for_device(part)) for part in pixels.split(BATCH)]
    if all(isinstance(one, Tensor) and one.dim() == 2 for one in answers):
        found = examine_labels(torch.cat(answers), images.labels[places], name=images.name)
        yield from (Noted(message=f"WARNING: {finding.sentence}") for finding in found)
