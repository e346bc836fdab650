"""A network's layers as cells: what only follows another stands in its cell; each has a rank and a lane."""

from dataclasses import dataclass, field
from typing import Any

FOLLOWERS = (
    "batchnorm", "relu", "silu", "swish", "hardswish", "hardsigmoid", "hardtanh", "gelu", "elu",
    "sigmoid", "dropout", "identity", "stochasticdepth",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Cell:
    """A node that is drawn, with the followers (BatchNorm, activation) that are drawn into it."""

    node: dict[str, Any]
    followers: list[dict[str, Any]] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)  # indices of cells
    rank: int = 0
    lane: int = 0


def merged(graph: dict[str, Any]) -> list[Cell]:
    """The graph's nodes as cells: what only follows another stands in its cell."""
    sources: dict[int, list[int]] = {node["id"]: [] for node in graph["nodes"]}
    readers: dict[int, int] = dict.fromkeys(sources, 0)
    for source, reader in graph["edges"]:
        sources[reader].append(source)
        readers[source] += 1
    cell_of: dict[int, int] = {}
    cells: list[Cell] = []
    for node in graph["nodes"]:
        before = sources[node["id"]]
        if node["kind"] == "Identity" and len(before) == 1 and before[0] in cell_of:
            cell_of[node["id"]] = cell_of[before[0]]  # nothing happens there: a line is enough
            continue
        alone = len(before) == 1 and readers[before[0]] == 1 and before[0] in cell_of
        if alone and _follows(node) and cells[cell_of[before[0]]].node["kind"] != "image":
            cell_of[node["id"]] = cell_of[before[0]]
            cells[cell_of[before[0]]].followers.append(node)
            continue
        cell_of[node["id"]] = len(cells)
        behind = list(dict.fromkeys(cell_of[source] for source in before))
        cells.append(Cell(node=node, sources=behind))
    return cells


def _follows(node: dict[str, Any]) -> bool:
    return not node["layer"] and node["kind"].lower().replace("_", "").startswith(FOLLOWERS)


def groups_of(cells: list[Cell]) -> list[tuple[str, list[int]]]:
    """(block's name, its cells) in order; what runs between blocks is a group without a name."""
    groups: list[tuple[str, list[int]]] = []
    for i, cell in enumerate(cells):
        name = cell.node["block"]
        if not groups or groups[-1][0] != name:
            groups.append((name, []))
        groups[-1][1].append(i)
    return groups


def arrange(cells: list[Cell], members: list[int]) -> tuple[int, int]:
    """Give each member a rank (column) and a lane (row, 0 the longest way); how many there are of each."""
    inside = set(members)
    for i in members:
        ranks = [cells[s].rank for s in cells[i].sources if s in inside]
        cells[i].rank = max(ranks, default=-1) + 1
    main = _longest_way(cells, members)
    taken: list[list[tuple[int, int]]] = [[(0, cells[members[-1]].rank)]]
    for i in members:
        if i in main:
            cells[i].lane = 0
            continue
        span = cells[i].rank, cells[i].rank
        lane = 1
        while lane < len(taken) and any(a <= span[1] and span[0] <= b for a, b in taken[lane]):
            lane += 1
        if lane == len(taken):
            taken.append([])
        taken[lane].append(span)
        cells[i].lane = lane
    return len(taken), max(cells[i].rank for i in members) + 1


def _longest_way(cells: list[Cell], members: list[int]) -> set[int]:
    """The cells of one longest way to the last member."""
    inside, at = set(members), members[-1]
    way = {at}
    while True:
        before = [
            s for s in cells[at].sources if s in inside and cells[s].rank == cells[at].rank - 1
        ]
        if not before:
            return way
        at = before[0]
        way.add(at)
