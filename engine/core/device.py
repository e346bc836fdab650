"""Which device to compute on, in words that a page can show."""

import os
import platform

import torch


def choose(wanted: str = "auto") -> torch.device:
    """CUDA, else MPS, else the CPU; or the one asked for by name."""
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def describe(device: torch.device) -> str:
    """For example "CPU (x86_64), 2 threads" or "NVIDIA H200"."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} threads"


def cores() -> int:
    """Processor cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
