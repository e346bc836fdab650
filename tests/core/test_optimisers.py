"""torch's optimisers without its compiler: the same steps, and no compiler loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from engine.core.optimisers import SGD, Adam

KINDS = [
    (Adam, torch.optim.Adam, {"lr": 0.1}),
    (Adam, torch.optim.Adam, {"lr": 0.1, "fused": True}),
    (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
]


def taken(kind, options, steps=5):
    """The parameters after some steps, halfway stored and loaded into another optimiser."""
    x = torch.linspace(-1, 1, 7).requires_grad_()
    optimiser = kind([{"params": [x], "lr": options["lr"]}], **options)
    for k in range(steps):
        if k == 2:
            state, optimiser = optimiser.state_dict(), kind([x], **options)
            optimiser.load_state_dict(state)
        schedule = CosineAnnealingLR(optimiser, T_max=10)
        optimiser.zero_grad()
        x.pow(4).sum().backward()
        optimiser.step()
        schedule.step()
    return x.detach()


@pytest.mark.parametrize(("own", "torchs", "options"), KINDS)
def test_they_step_as_torch_s_own_bit_for_bit(own, torchs, options):
    assert torch.equal(taken(own, options), taken(torchs, options))


def printed_by(text):
    """What these lines print in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=Path(__file__).parents[2], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.split()


def test_a_step_loads_no_compiler():
    """Nor does building, storing and loading one; torch's own load it at once."""
    assert printed_by(
        "import sys, torch\n"
        "from tests.core.test_optimisers import KINDS, taken\n"
        "for own, _, options in KINDS: taken(own, options)\n"
        "print('torch._dynamo' in sys.modules)\n"
        "taken(torch.optim.Adam, {'lr': .1})\n"
        "print('torch._dynamo' in sys.modules)\n"
    ) == ["False", "True"]


def test_a_network_is_built_and_tried_without_the_compiler():
    assert printed_by(
        "import sys\n"
        "from engine.models.cards.sources import listed_card\n"
        "from engine.models.probing.probe import load_read\n"
        "load_read(listed_card('resnet20-fashion', {}), None)\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])\n"
    ) == ["[]"]
