"""How each of torch's operators is written in ONNX, by its name; a new one is a line in one of the files.

A writer takes the graph, the node and the node's own arguments, and returns the name of what it gives.
"""

from engine.export.graph.operators import activations, arithmetic, grids, layers, pooling, shapes
from engine.export.graph.operators.common import Writer

WRITERS: dict[str, Writer] = {
    **activations.WRITERS, **arithmetic.WRITERS, **grids.WRITERS, **layers.WRITERS, **pooling.WRITERS,
    **shapes.WRITERS,
}  # fmt: skip
