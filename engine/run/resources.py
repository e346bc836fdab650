"""What a run uses of the machine."""

import os
import sys

import psutil

from engine.run.settings import whole_number


def threads_wanted() -> int | None:
    """QUANTOSCOPE_THREADS, None where it is not set; UserError where it is no number of threads."""
    text = os.environ.get("QUANTOSCOPE_THREADS")
    return whole_number(text, (1, 1024), "QUANTOSCOPE_THREADS") if text else None


def memory_mb() -> float:
    """Resident memory of this process now, in MB."""
    return float(psutil.Process().memory_info().rss / 1e6)


def peak_memory_mb() -> float:
    """The most that this process ever held, in MB."""
    try:
        import resource
    except ImportError:  # Windows keeps the peak elsewhere
        return float(psutil.Process().memory_info().peak_wset / 1e6)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
