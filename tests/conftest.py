"""Every test starts from the same seeds, on one thread: sums then come out the same everywhere."""

import random

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (for libraries that use the global one)
    torch.manual_seed(0)
