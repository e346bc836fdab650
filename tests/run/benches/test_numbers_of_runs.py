"""What a claim may ask of a finished run: networks rescaled at random stay what they are."""

import numpy as np
import pytest
import torch

from engine.analysis.similarity.chain import all_weights, normalised
from engine.analysis.similarity.compare import cosine
from engine.analysis.similarity.flow import find_streams
from engine.run.benches.effects.quantizers.claim import METRICS
from engine.run.benches.effects.quantizers.claims import QUANTIZER_CLAIMS
from engine.run.benches.effects.quantizers.numbers_of_runs import _require_the_same, rescaled
from tests.analysis.similarity.nets import NETS
from tests.contracts.nets import images, ready


@pytest.fixture(params=NETS, ids=lambda net: net.__name__)
def net(request):
    return ready(request.param()).double()


def state_of(net):
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rescaled_network_has_other_weights_and_the_same_answers(net, seed):
    streams, state = find_streams(net, 3), state_of(net)
    other = rescaled(streams, state, np.random.default_rng(seed))
    raw = [cosine(state[f"{p}.weight"], other[f"{p}.weight"]) for p in streams.layers]
    assert min(raw) < 0.95
    ours, theirs = (normalised(streams, all_weights(streams, one)) for one in (state, other))
    assert min(cosine(ours[p], theirs[p]) for p in streams.layers) == pytest.approx(1, abs=1e-9)
    wanted = net(images().double())
    net.load_state_dict({name: torch.from_numpy(np.asarray(one)) for name, one in other.items()})
    assert torch.allclose(net(images().double()), wanted, rtol=1e-9, atol=1e-9)


def test_a_network_that_computes_something_else_is_refused(net):
    state = state_of(net)
    _require_the_same(net, state, (2, 3, 8, 8))
    path = find_streams(net, 3).layers[0]
    with pytest.raises(RuntimeError, match="answers differently"):
        _require_the_same(net, state | {f"{path}.weight": -state[f"{path}.weight"]}, (2, 3, 8, 8))


def test_a_claim_against_another_number_is_of_one_run():
    against = [claim for claim in QUANTIZER_CLAIMS if claim.against]
    assert against
    for claim in against:
        assert claim.method == claim.baseline
        assert claim.against in METRICS
        assert claim.titles is not None
        assert claim.compared()["against"] == claim.against
