"""Alphabets: even levels around 0 with one step for a layer, and which weights are put on them."""

import math
from types import SimpleNamespace

import pytest
import torch

from engine.quantization.grids.alphabet import (
    ALPHABETS,
    AlphabetQuantizer,
    idle_ranges,
    with_alphabet,
)
from engine.quantization.grids.quantizers import Makers, WeightQuantizer


def weights(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("strict", "bits"), [(True, 2), (True, 4), (True, 8), (False, 1), (False, 2), (False, 8)]
)
def test_an_alphabet_s_codes_are_the_nearest_of_its_levels_and_its_side_is_one_step(strict, bits):
    w = weights(3, 20)
    quantizer = AlphabetQuantizer(bits, strict=strict, radius=0.7)
    quantizer.fit(w)
    step = 0.7 * float(w.abs().amax(1).mean()) / 2 ** (bits - 1)
    reach = 2 ** (bits - 1) - 1 if strict else min(2 ** (bits - 1), 127)
    codes = (w / step).round().clamp(-reach, reach)
    assert torch.equal(quantizer.codes.float(), codes + reach)
    assert torch.allclose(quantizer(w), codes * step, atol=1e-6)
    assert quantizer.side_bits() == 32
    assert quantizer.code_bits == math.ceil(math.log2(2 * reach + 1))


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_weights_are_put_on_the_alphabet_that_is_chosen_and_only_a_grid_follows_the_rule(alphabet):
    settings = SimpleNamespace(alphabet=alphabet, radius=0.9)
    made = with_alphabet(Makers(), settings).weights(3)
    w = weights(3, 20)
    made.fit(w)
    wanted = WeightQuantizer(3)
    if alphabet != "grid":
        wanted = AlphabetQuantizer(3, strict=alphabet == "strict", radius=0.9)
    wanted.fit(w)
    assert type(made) is type(wanted)
    assert torch.equal(made.levels(), wanted.levels())
    assert list(idle_ranges(settings)) == ([] if alphabet == "grid" else ["weight"])
