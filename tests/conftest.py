"""Every test starts from the same seeds, on one thread: sums then come out the same everywhere.

Two threads beside another busy process are many times slower than one. A worker that a test runs in this
process takes as many as the machine has, unless it is told; and so would all tests after it. Nor do tests
become polite for good where such a worker does.
"""

import gc
import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

pytest_plugins = ["tests.slower"]
os.environ.setdefault("QUANTOSCOPE_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True, scope="session")
def _as_important_as_ever() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "nice", lambda by: by, raising=False)
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (for libraries that use the global one)
    torch.manual_seed(0)
