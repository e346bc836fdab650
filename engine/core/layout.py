"""The order of a network's tensors in memory: channels last where that is faster, plain where it must be."""

from itertools import chain

import torch
from torch import Tensor, nn

LANES = 16  # values of 32 bits in the widest register of a processor's own (AVX-512; AVX2 has 8)


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
        if tensor.dim() == 4 and not _narrow(*tensor.shape[1:]):
            tensor.data = tensor.data.to(memory_format=order)


def _narrow(inputs: int, height: int, width: int) -> bool:
    """Whether a kernel is of one pixel and few inputs, see `within_bounds`."""
    return inputs < LANES and height == width == 1


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


def within_bounds(x: Tensor, conv: nn.Module) -> Tensor:
    """What a layer reads, in an order in which its weight's gradient writes inside its own memory.

    oneDNN's gradient of a strided 1 x 1 kernel writes past its end where the input lies channels last and
    has fewer channels than a vector register holds (seen with torch 2.13 on AVX2, 2 to 6 channels): the
    process dies, or another tensor changes. There the input is laid out plainly.
    """
    return x.contiguous() if reads_plainly(conv) else x


def reads_plainly(conv: nn.Module) -> bool:
    """Whether the layer is one whose weight's gradient is safe in the plain order alone."""
    if not isinstance(conv, nn.Conv2d) or max(conv.stride) == 1:
        return False
    return _narrow(conv.in_channels // conv.groups, *conv.kernel_size)


def drawn(x: Tensor, index: Tensor) -> Tensor:
    """x[index] in the layout of x [n, ...]; of maps that lie channels last in a third of the time."""
    if x.dim() != 4 or x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last):
        return x[index]
    _, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(len(x), -1)  # a view
    found = torch.index_select(rows, 0, index.to(x.device))
    return found.view(-1, height, width, channels).permute(0, 3, 1, 2)
