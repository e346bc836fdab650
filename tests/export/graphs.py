"""Networks as plain data, for the tests of the graph: any module, some of its weights on a grid."""

import copy

import numpy as np
import torch
from torch import nn

from engine.export.graph.runtime import Session
from engine.export.graph.write import write_graph
from engine.export.network import Network, WeightGrid
from engine.models.graph.flow import is_layer
from engine.quantization.grids.step_search import search_weight_grid


def grid_of(weight, bits):
    found = search_weight_grid(weight, bits)
    return WeightGrid(
        bits=bits, codes=found.codes(weight).numpy().astype(np.uint8),
        scale=found.scale.flatten().numpy(), zero_point=found.zero_point.flatten().numpy().astype(np.uint8),
    )  # fmt: skip


def network(module, shape, bits=None, ends=()):
    """The module with its convolutions and linear layers at so many bits (None: floats), as a network."""
    module = copy.deepcopy(module).eval().requires_grad_(False)
    weights = {}
    for path, part in module.named_modules():
        if bits and is_layer(part):
            weights[path] = grid_of(part.weight, bits)
            part.weight = nn.Parameter(
                torch.from_numpy(weights[path].values()), requires_grad=False
            )
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    return Network(
        module=module, image_shape=shape, weights=weights, inputs={}, state=state, ends=ends
    )


def ran(of, images, written=None):
    """What ONNX Runtime makes of a network's file, and what torch makes of the network."""
    written = written or write_graph(of, "network")
    answer = Session(written.model.SerializeToString(), 1)(images.numpy())[0]
    with torch.no_grad():
        return answer, of.module(images).numpy()
