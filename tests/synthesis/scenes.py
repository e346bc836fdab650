"""Steps to look at, without a method around them."""

from engine.synthesis.loss import Scene
from engine.synthesis.statistics.batchnorm import Observation, StoredStatistics


def scene_of(teacher, images, labels=None, **observed):
    """What the teacher sees in the images, and the statistics that it keeps."""
    stored = StoredStatistics(teacher, images.shape[1:])
    seen = stored.observe(teacher, images, **observed)
    return Scene(images=images, shown=images, seen=seen, labels=labels, step=0), stored


def scene_with(logits=None, labels=None, features=None, images=None):
    """A step of which only this is known."""
    return Scene(
        images=images,
        shown=images,
        labels=labels,
        seen=Observation([], logits, features=features),
        step=0,
    )
