"""A network's data flow down to single operators, as torch.export sees it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.core.errors import UserError
from engine.core.sampling.noise_images import noise_images
from engine.core.trace import watch_outputs
from engine.export.network import Network

MOST_IMAGES = 2**16  # in a batch: a bound that torch.export asks for


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """Operators in order of execution; placeholders are the images, and tensors by their own names."""

    graph: torch.fx.Graph
    images: str  # the placeholder's name
    tensors: dict[
        str, tuple[str, NDArray[Any]]
    ]  # of a placeholder: its name in the network, and values
    outputs: list[torch.fx.Node]  # what the network gives, then what each of `ends` does
    any_batch: bool  # False: it takes one image at a time


class _WithEnds(nn.Module):
    """The network, giving what some of its modules give beside what it gives itself."""

    def __init__(self, network: nn.Module, ends: Sequence[str]) -> None:
        super().__init__()
        self.network, self.ends = network, tuple(ends)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        seen: dict[str, Tensor] = {}
        # A copy of each: what reads it may write into it.
        with watch_outputs(self.network, self.ends, lambda path, y: seen.update({path: y + 0})):
            out = self.network(images)
        return (out, *(seen[path] for path in self.ends))


_PREFIX = "network."


@torch.no_grad()
def trace(network: Network) -> Traced:
    """The network's operators; UserError where Python decides on values, so that there is no one flow."""
    module = _WithEnds(network.module, network.ends).eval()
    program, any_batch = _exported(module, network.image_shape)
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers,
             **signature.inputs_to_lifted_tensor_constants}  # fmt: skip
    held = {**program.state_dict, **program.constants}
    tensors = {}
    for placeholder, name in names.items():
        tensor = held[name].detach().cpu().contiguous()
        tensors[placeholder] = (name.removeprefix(_PREFIX), np.array(tensor.numpy(), copy=True))
    nodes = list(program.graph.nodes)
    by_name = {node.name: node for node in nodes}
    return Traced(
        graph=program.graph,
        images=next(n.name for n in nodes if n.op == "placeholder" and n.name not in names),
        tensors=tensors,
        outputs=[by_name[str(name)] for name in signature.user_outputs],
        any_batch=any_batch,
    )


def _exported(module: nn.Module, image_shape: tuple[int, int, int]) -> tuple[Any, bool]:
    """What torch.export makes of it, for any number of images if it can be, else for one."""
    batch = torch.export.Dim("images", min=1, max=MOST_IMAGES)
    reason = ""
    for images, dynamic in ((2, ({0: batch},)), (1, None)):
        x = noise_images(images, image_shape, module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on torch's own ways
            try:
                program = torch.export.export(module, (x,), dynamic_shapes=dynamic, strict=False)
                return program.run_decompositions({}), dynamic is not None
            except Exception as error:  # noqa: BLE001  (whatever a network's own Python raises)
                reason = reason or next(iter(str(error).strip().splitlines()), type(error).__name__)
    raise UserError(
        f"this network cannot be followed operator by operator ({reason[:200]}); keep its forward free of "
        "decisions on values, or take its codes (--codes) or weights (--state-dict) instead"
    )
