"""What is optimised: pixels, or latents with a generator. A canvas renders images that have gradients.

A canvas is a torch module, so its parameters and its state need no code of their own. Whatever it
draws by chance comes from the batch's own generator of random numbers.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from engine.synthesis.base import Request


class Canvas(nn.Module):
    """The interface: `render` gives [n, channels, height, width] in the teacher's input space."""

    @abstractmethod
    def render(self, labels: Tensor | None) -> Tensor:
        """The images as they are now, for these labels where the canvas can be told what to show.

        `labels` are classes (int64 [n]), probabilities ([n, classes]), or None. A canvas that draws
        new latents for every call gives other images each time.
        """

    def project(self) -> None:
        """After every update: bring what left its bounds back, in place."""


class Pixels(Canvas):
    """The pixels themselves. With `bounds` (low, high) they are kept in the range of real pixels."""

    def __init__(self, start: Tensor, bounds: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self._bounds = bounds
        self.pixels = nn.Parameter(start.contiguous(memory_format=torch.channels_last))
        self.project()

    @classmethod
    def gaussian(cls, request: Request, *, bounded: bool = False) -> "Pixels":
        """From N(0, 1), the customary start."""
        start = torch.randn(request.shape, generator=request.rng).to(request.device)
        return cls(start, (request.low, request.high) if bounded else None)

    @classmethod
    def faint(cls, request: Request) -> "Pixels":
        """From an almost even grey, ±0.024: ZeroQ as released.

        Its code divides whole numbers from -127.5 to 126.5 by 5418.75, their variance, where the
        comment beside it promises a variance of 1.
        """
        whole = torch.randint(0, 255, request.shape, generator=request.rng)
        return cls(((whole - 127.5) / 5418.75).to(request.device))

    def render(self, labels: Tensor | None) -> Tensor:
        return self.pixels

    @torch.no_grad()
    def project(self) -> None:
        if self._bounds is not None:
            self.pixels.copy_(self.pixels.clamp(*self._bounds))
