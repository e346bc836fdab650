"""Randomness without global state: one torch.Generator per purpose, derived from a seed and a name."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stream(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator of its own for a purpose: the same seed and names give the same numbers."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed from a seed and names; distinct names give unrelated seeds."""
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def seeded_init(rng: torch.Generator) -> Iterator[None]:
    """Inside, torch's own initialisers (which know only the global generator) draw from `rng`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(0, 2**62, (), generator=rng)))
        yield
