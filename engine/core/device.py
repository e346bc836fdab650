"""Which device to compute on, in words that a page can show."""

import os
import platform
from itertools import chain

import torch
from torch import Tensor, nn


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


def channels_last(module: nn.Module) -> None:
    """Lay the module's weights out in the order in which convolutions read them fastest, in place.

    Only tensors of four dimensions gain from it, and those of five (3D convolutions) have no such order.
    """
    _lay_out(module, torch.channels_last)


def contiguous(module: nn.Module) -> None:
    """Lay the module's weights out in the order in which torch makes them, in place."""
    _lay_out(module, torch.contiguous_format)


def _lay_out(module: nn.Module, order: torch.memory_format) -> None:
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.to(memory_format=order)


def layout_of(module: nn.Module) -> torch.memory_format:
    """The order in which a network's images are to lie: channels last only if its weights do."""
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.dim() == 4 and tensor.stride() != _plain_stride(tensor.shape):
            return torch.channels_last
    return torch.contiguous_format


def _plain_stride(shape: torch.Size) -> tuple[int, ...]:
    _, channels, height, width = shape
    return channels * height * width, height * width, width, 1


def laid_out(images: Tensor, network: nn.Module) -> Tensor:
    """The images in the order in which this network reads them."""
    return images.contiguous(memory_format=layout_of(network))


def readable(images: Tensor, network: nn.Module) -> Tensor:
    """The images as they lie, unless the network can read them in torch's own order alone."""
    return images if layout_of(network) is torch.channels_last else images.contiguous()


def cores() -> int:
    """Processor cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
