"""The numbers that claims compare and that a run's result does not hold: asked of the run once it is over."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.analysis.similarity.chain import Floats, all_weights, normalised, slots
from engine.analysis.similarity.compare import cosine
from engine.analysis.similarity.flow import find_streams
from engine.analysis.similarity.streams import Streams, Unit
from engine.run.exports.plain import float_network, plain_network
from engine.run.folders.folder import RunFolder
from engine.run.questions.costs.storage import written
from engine.run.questions.why.opened import open_run

State = Mapping[str, NDArray[np.generic]]
_SPREAD = 1.0  # of a random factor's logarithm, on both sides of 0
_LOOKS = 8  # images that both networks are shown
_SAME = 1e-9  # how far their answers may part, relatively


def _bytes(form: str) -> Callable[[RunFolder], float]:
    """The bytes of all codes in one form, scales and tables of values left out."""
    return lambda folder: float(_total(folder)["bytes"][form])


def _total(folder: RunFolder) -> dict[str, Any]:
    """The sums over all layers, of a file that was written and read back."""
    run = open_run(folder, images=1)
    return written(plain_network(run.context, run.student).weights)[1]


def _over_the_entropy(folder: RunFolder) -> float:
    """Bytes of a code that takes a whole bit a weight more than the entropy: Huffman's bound."""
    total = _total(folder)
    return float(total["bytes"]["entropy"]) + float(total["weights"]) / 8


def _entropy(folder: RunFolder) -> float:
    """Bits a weight, of how often each stored value occurs in all layers together."""
    result = folder.result()
    assert result is not None
    return float(result["weight_values"]["entropy_bits"])


def rescaled(streams: Streams, state: State, rng: np.random.Generator) -> dict[str, Floats]:
    """The tensors of a network that computes the same: each free channel times a positive factor.

    What reads the channel is divided by it; of a BatchNorm the mean moves with what is read.
    """
    factors = np.exp(_SPREAD * (2 * rng.random(len(streams.factor)) - 1))
    factors[~streams.free_factor] = 1.0
    found = {name: tensor.astype(np.float64) for name, tensor in state.items()}
    for unit in streams.units:
        _rescale(unit, streams, factors, found)
    return found


def _rescale(unit: Unit, streams: Streams, factors: Floats, found: dict[str, Floats]) -> None:
    """One unit's own tensors, in place."""
    read, written = (factors[streams.factor[numbers]] for numbers in (unit.reads, unit.writes))
    weight, bias, mean = (f"{unit.path}.{name}" for name in ("weight", "bias", "running_mean"))
    if bias in found:
        found[bias] = found[bias] * written
    if unit.eps is not None:
        found[mean] = found[mean] * read
        found[weight] = found[weight] * written / read
        return
    rows = written.reshape(-1, *(1,) * (found[weight].ndim - 1))
    reads = slots(unit, streams.factor[unit.reads], factors, found[weight])
    found[weight] = found[weight] * rows / reads


def _least_cosine(*, chained: bool) -> Callable[[RunFolder], float]:
    """The lowest cosine of a layer of the teacher with the same layer, all channels rescaled at random."""

    def found(folder: RunFolder) -> float:
        run = open_run(folder, images=_LOOKS)
        streams = find_streams(run.teacher, run.context.card.image_shape[0])
        state = float_network(run.context).state
        other = rescaled(streams, state, np.random.default_rng(folder.recipe.seed))
        _require_the_same(run.teacher, other, (_LOOKS, *run.context.card.image_shape))
        if not chained:
            pairs = [
                (state[f"{p}.weight"].astype(np.float64), other[f"{p}.weight"])
                for p in streams.layers
            ]
        else:
            ours, theirs = (
                normalised(streams, all_weights(streams, one)) for one in (state, other)
            )
            pairs = [(ours[path], theirs[path]) for path in streams.layers]
        return min(one for one in (cosine(*pair) for pair in pairs) if one is not None)

    return found


def _require_the_same(teacher: torch.nn.Module, other: State, shape: tuple[int, ...]) -> None:
    """RuntimeError where the rescaled network computes something else: then the number would say nothing."""
    network = copy.deepcopy(teacher).double().eval()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    with torch.no_grad():
        wanted = network(x)
        tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in other.items()}
        network.load_state_dict(tensors, strict=False)
        apart = float((network(x) - wanted).norm() / wanted.norm())
    if apart > _SAME:
        raise RuntimeError(
            f"the rescaled network answers differently, by {apart:.2g} of its answers"
        )


NUMBERS: Mapping[str, Callable[[RunFolder], float]] = {  # by the keys of METRICS
    "storage:huffman": _bytes("huffman"),
    "storage:packed": _bytes("packed"),
    "storage:sparse": _bytes("sparse"),
    "storage:bound": _over_the_entropy,
    "values:entropy": _entropy,
    "test-images": lambda folder: float((folder.result() or {})["test_images"]),
    "similarity:chain": _least_cosine(chained=True),
    "similarity:raw": _least_cosine(chained=False),
}
