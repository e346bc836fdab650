"""The network as plain data: nodes, edges, shapes, and the block that each node runs in."""

import json

from torch import Tensor, nn

from engine.models.graph.blocks import find_blocks
from engine.models.graph.picture import network_graph
from tests.contracts.nets import TinyResNet, ready


def drawn(model, shape=(3, 8, 8)):
    model = ready(model)
    graph = network_graph(model, shape, find_blocks(model))
    assert json.loads(json.dumps(graph)) == graph  # plain data
    assert [node["id"] for node in graph["nodes"]] == list(range(len(graph["nodes"])))
    return graph


def edges(graph):
    names = [
        node["path"] + ("" if node["layer"] else f":{node['kind']}") for node in graph["nodes"]
    ]
    return {(names[a], names[b]) for a, b in graph["edges"]}


def test_a_residual_is_drawn_with_both_its_ways():
    graph = drawn(TinyResNet())
    assert {
        (":image", "stem.0"),
        ("stem.0", "stem.1:BatchNorm2d"),
        ("stem.2:ReLU", "down.conv1"),
        ("stem.2:ReLU", "down.shortcut.0"),
        ("down.bn2:BatchNorm2d", "down:add"),
        ("down.shortcut.1:BatchNorm2d", "down:add"),
        ("down:add", "down.relu2:ReLU"),
    } <= edges(graph)


def test_shapes_are_those_of_one_image_and_blocks_those_that_were_found():
    nodes = {(n["path"], n["kind"]): n for n in drawn(TinyResNet())["nodes"]}
    assert nodes["", "image"]["shape"] == [3, 8, 8]
    assert nodes["down.conv1", "Conv2d"]["shape"] == [6, 4, 4]
    assert nodes["head.2", "Linear"]["shape"] == [3]
    assert nodes["stem.2", "ReLU"]["block"] == "stem.0"
    assert nodes["down", "add"]["block"] == "down"
    assert nodes["head.1", "Flatten"]["block"] == ""
    assert {path for (path, _), n in nodes.items() if n["layer"]} == {
        "stem.0", "down.conv1", "down.conv2", "down.shortcut.0", "same.conv1", "same.conv2", "head.2",
    }  # fmt: skip


def test_sizes_and_indexing_are_left_out_and_edges_lead_past_them():
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            n, c, h, w = y.size()
            left, _ = y.view(n, 2, c // 2, h, w).chunk(2, dim=1)
            return self.last(left[:, 0])

    assert edges(network_graph(ready(Shuffled()), (3, 8, 8), ())) == {
        (":image", "conv"), ("conv", ":view"), (":view", ":chunk"), (":chunk", "last"),
    }  # fmt: skip
