"""Real images as a method of synthesis is handed them, with what is to be said of how they were read."""

from typing import NamedTuple

from torch import Tensor

from engine.core.errors import UserError
from engine.core.method import MethodCard
from engine.data.labelling.classes import WAY_OUT
from engine.run.context import Context

MOST_LABELLED = 1024  # real images with labels that are handed to a method


class Real(NamedTuple):
    """Real images; nothing, for a method that needs none."""

    images: Tensor | None = None
    labels: Tensor | None = None
    notes: tuple[str, ...] = ()


def share_of_real(context: Context, method: MethodCard, start: int, size: int) -> Real:
    """A batch's own share of the real images; or all, with labels, for methods that learn from them."""
    needs = {"real-images", "labelled-images"} & set(method.needs)
    images = context.real_images() if needs else None
    if images is None:
        return Real()
    if "labelled-images" not in needs:
        taken = images.first(max(context.recipe.images, start + size))[start : start + size]
        return Real(taken, None, tuple(images.reading_notes))
    if images.labels is None:
        reason = images.notes[0].rstrip(".") if images.notes else f"give class folders: {WAY_OUT}"
        raise UserError(
            f"synthesis {method.name!r} needs images with labels, and those of "
            f"{images.name} have none; {reason[0].lower()}{reason[1:]}"
        )
    said = (*images.reading_notes, *images.notes)
    return Real(images.first(MOST_LABELLED), images.labels[:MOST_LABELLED], said)
