"""The environment in which a process of the engine computes fastest. Imports no torch."""

import os


def worker_environment() -> dict[str, str]:
    """What makes the same arithmetic faster on a processor; what the user has set stays.

    Large tensors come and go at every step: memory kept by the allocator, in large pages, spares the
    system the work of clearing it anew each time. Threads that wait asleep instead of spinning lose
    little when alone, and do not slow down many times beside another busy process.
    """
    wishes = {
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**40),
        "MALLOC_TOP_PAD_": str(2**26),
        "THP_MEM_ALLOC_ENABLE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    return wishes | dict(os.environ)
