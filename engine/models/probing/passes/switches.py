"""What a network's own code may switch for the whole process, and must not leave switched."""

import contextlib
from collections.abc import Iterator

import torch

from engine.core.errors import UserError


@contextlib.contextmanager
def unswitched(name: str) -> Iterator[None]:
    """Inside, the network runs; UserError where it leaves gradients or the type of new tensors switched."""
    gradients, kind = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        yield
        if torch.get_default_dtype() != kind:
            raise UserError(
                f"{name} changes the type of all new tensors while it runs; take torch.set_default_dtype out "
                "of its forward"
            )
        if torch.is_grad_enabled() != gradients:
            raise UserError(
                f"{name} leaves gradients switched {'off' if gradients else 'on'} for all that follows; "
                "write `with torch.no_grad():` or `with torch.enable_grad():` around its own part"
            )
    finally:
        torch.set_default_dtype(kind)
        torch.set_grad_enabled(gradients)
