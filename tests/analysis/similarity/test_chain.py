"""Chain normalization: a network with its channels rescaled at random is the same network."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.analysis.similarity.chain import ChainLayer, chain_normalized, layer_cosines

Network = list[ChainLayer]


def _layer(*shape: int, reads: str | None, writes: str | None, groups: int = 1) -> ChainLayer:
    return ChainLayer(torch.randn(shape), torch.randn(shape[0]), reads, writes, groups)


def _conv(layer: ChainLayer, x: Tensor) -> Tensor:
    return F.conv2d(
        x, layer.weight, layer.bias, padding=layer.weight.shape[-1] // 2, groups=layer.groups
    )


def _plain() -> Network:
    return [
        _layer(6, 3, 3, 3, reads=None, writes="a"),
        _layer(5, 6, 3, 3, reads="a", writes="b"),
        _layer(4, 5 * 16, reads="b", writes=None),
    ]


def _depthwise() -> Network:
    return [
        _layer(6, 3, 1, 1, reads=None, writes="a"),
        _layer(6, 1, 3, 3, reads="a", writes="b", groups=6),
        _layer(8, 3, 1, 1, reads="b", writes="c", groups=2),
        _layer(4, 8 * 16, reads="c", writes=None),
    ]


def _residual() -> Network:
    return [
        _layer(6, 3, 3, 3, reads=None, writes="stream"),
        _layer(5, 6, 3, 3, reads="stream", writes="inner"),
        _layer(6, 5, 3, 3, reads="inner", writes="stream"),
        _layer(4, 6 * 16, reads="stream", writes=None),
    ]


def _answer(layers: Network, x: Tensor) -> Tensor:
    """The network's answer: a sequence, or where a stream is written twice, a residual sum."""
    if layers[0].writes == "stream":
        x = _conv(layers[0], x).relu()
        x = (x + _conv(layers[2], _conv(layers[1], x).relu())).relu()
    else:
        for layer in layers[:-1]:
            x = _conv(layer, x).relu()
    return F.linear(x.flatten(1), layers[-1].weight, layers[-1].bias)


def _rescaled(layers: Sequence[ChainLayer]) -> Network:
    """Each channel of each stream times a random factor, written with loops over single channels."""
    found = []
    factors = {x.writes: torch.exp(torch.randn(len(x.weight))) for x in layers if x.writes}
    for layer in layers:
        weight, bias = layer.weight.clone(), layer.bias.clone()  # type: ignore[union-attr]
        for o in range(len(weight)):
            if layer.reads:
                read = factors[layer.reads]
                places = weight.shape[1] * layer.groups // len(read)
                for i in range(weight.shape[1]):
                    group = o // (len(weight) // layer.groups)
                    weight[o, i] /= read[(group * weight.shape[1] + i) // places]
            if layer.writes:
                weight[o] *= factors[layer.writes][o]
                bias[o] *= factors[layer.writes][o]
        found.append(replace(layer, weight=weight, bias=bias))
    return found


@pytest.mark.parametrize("build", [_plain, _depthwise, _residual])
def test_a_random_positive_rescaling_is_seen_through(build: Callable[[], Network]) -> None:
    torch.manual_seed(0)
    layers = build()
    other = _rescaled(layers)
    x = torch.randn(2, 3, 4, 4)
    assert torch.allclose(_answer(layers, x), _answer(other, x), rtol=1e-3, atol=1e-3)
    assert min(layer_cosines(layers, other)) < 0.95
    assert layer_cosines(chain_normalized(layers), chain_normalized(other)) == pytest.approx(
        [1.0] * len(layers), abs=1e-5
    )


@pytest.mark.parametrize("build", [_plain, _depthwise, _residual])
def test_the_function_stays(build: Callable[[], Network]) -> None:
    torch.manual_seed(1)
    layers, x = build(), torch.randn(2, 3, 4, 4)
    assert torch.allclose(
        _answer(layers, x), _answer(chain_normalized(layers), x), rtol=1e-3, atol=1e-3
    )


def test_a_layer_that_did_change_is_told() -> None:
    torch.manual_seed(2)
    layers = _plain()
    other = [layers[0], replace(layers[1], weight=torch.randn_like(layers[1].weight)), layers[2]]
    cosines = layer_cosines(chain_normalized(layers), chain_normalized(other))
    assert cosines[0] == pytest.approx(1, abs=1e-6)
    assert abs(cosines[1]) < 0.7


def test_a_dead_channel_stays_finite() -> None:
    torch.manual_seed(3)
    layers = _plain()
    layers[0].weight[2], layers[0].bias[2] = 0, 0  # type: ignore[index]
    assert all(x.weight.isfinite().all() for x in chain_normalized(layers))


def test_networks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        layer_cosines(_plain(), _residual())
