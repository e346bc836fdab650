"""The rest of a network behind a block: from the block's output to the network's answer."""

from typing import Any

import torch.fx
from torch import Tensor, nn

from engine.core.trace import replaced_output
from engine.models.graph.blocks import Block
from engine.models.graph.walk import WalkPlan, call_node


class Rest:
    """Runs the teacher on from one block's output, and lets gradients through.

    A block's output may be all that the rest of a network reads, or not (a shortcut past the block, a
    size of the image). What else is needed is computed again from the images: nothing in a chain.
    """

    def __init__(
        self,
        teacher: nn.Module,
        plan: WalkPlan,
        block: Block,
        images: Tensor,
        *,
        classifier: bool = True,
    ) -> None:
        self.teacher, self.classifier = teacher, classifier
        self._images = images
        self._block = block
        self._seen = plan.seen
        if not plan.seen:
            return
        self._cut = plan.nodes[plan.ends[block.name]]
        needed = _ancestors(next(n for n in plan.nodes if n.op == "output"), self._cut)
        self._nodes = [node for node in plan.nodes if node in needed]
        self._last_readers = plan.last_readers

    def __call__(self, y: Tensor, index: Tensor) -> Tensor:
        """Logits [n, classes] from outputs y of the block, [n, ...], for the images of that index."""
        if not self._seen:  # run all of the network, with y in place of the block's output
            with replaced_output(self.teacher, self._block.paths[-1], y.clone()):
                out: Tensor = self.teacher(self._images[index])
            return out
        values: dict[torch.fx.Node, Any] = {self._cut: y.clone()}  # y outlives activations in place
        for node in self._nodes:
            if node.op == "output":
                logits: Tensor = values[node.all_input_nodes[0]]
                return logits
            if node.op == "placeholder":
                values[node] = self._images[index]
            else:
                values[node] = call_node(self.teacher, node, values)
            for done in self._last_readers[node]:
                values.pop(done, None)
        raise LookupError("a network without an output")


def _ancestors(node: torch.fx.Node, cut: torch.fx.Node) -> set[torch.fx.Node]:
    """The node and all that it is computed from, back to the cut, which is given."""
    found, waiting = {node}, [node]
    while waiting:
        for source in waiting.pop().all_input_nodes:
            if source not in found and source is not cut:
                found.add(source)
                waiting.append(source)
    return found
