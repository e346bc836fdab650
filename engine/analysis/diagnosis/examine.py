"""What may go wrong with a network before anything is computed: findings, each with the way out."""

from collections.abc import Sequence

from torch import nn

from engine.analysis.diagnosis import channels, stored, structure
from engine.analysis.diagnosis.anatomy import Anatomy
from engine.analysis.diagnosis.finding import LEVELS, Finding


def examine(
    model: nn.Module,
    anatomy: Anatomy,
    *,
    image_shape: Sequence[int],
    classes: int = 0,
    output: str = "",
) -> list[Finding]:
    """All that weights, statistics and structure tell; `classes`: how many names there are, 0: unknown.

    `output` is what kind the network's output is of, see engine.models.probing.output.find.
    """
    found = [
        *stored.not_finite(model),
        *stored.without_batchnorm(model, anatomy),
        *stored.of_statistics(model),
        *channels.dead(model, anatomy),
        *channels.nearly_dead(anatomy),
        *channels.tiny_variance(model),
        *channels.ranges(anatomy),
        *structure.outputs(anatomy, classes, output),
        *structure.structure(anatomy),
        *structure.input_size(image_shape),
    ]
    return sorted(found, key=lambda finding: LEVELS.index(finding.level))
