"""torch's optimisers without torch's compiler, which they load at their first use.

Their methods are wrapped so that a compiler leaves them alone, and the wrappers import it (and a computer
algebra system with it): more than a second of every worker's start, for something that nothing here uses.
These are the same methods, unwrapped.
"""

import inspect

import torch
from torch.optim import Optimizer


class _Uncompiled(Optimizer):
    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)


class Adam(_Uncompiled, torch.optim.Adam):
    """Adam (Kingma and Ba, ICLR 2015)."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class SGD(_Uncompiled, torch.optim.SGD):
    """Gradient descent with momentum."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))
