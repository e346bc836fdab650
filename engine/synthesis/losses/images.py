"""Terms on the images themselves, in the teacher's normalised space."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.synthesis.loss import Loss, Scene


class InputStatistics(Loss):
    """Each image's own mean and std per colour towards 0 and 1: the only image prior of ZeroQ and GENIE."""

    def __call__(self, scene: Scene) -> Tensor:
        return image_prior(scene.images)


def image_prior(images: Tensor) -> Tensor:
    """Mean over images of Σ over colours of mean² + (std − 1)², each image by itself."""
    std, mean = torch.std_mean(images, dim=(2, 3))
    return (mean.square() + (std - 1).square()).sum(1).mean()


class TotalVariation(Loss):
    """DeepInversion's TV: the norms of the differences to the right, below, and both diagonals.

    Four norms over the whole batch, not squared, so it grows with the root of images and pixels: its
    weight must be found anew where the batch is of another size.
    """

    def __call__(self, scene: Scene) -> Tensor:
        return sum_of_norms(differences(scene.shown))


def differences(x: Tensor) -> list[Tensor]:
    """Each pixel's gap to its neighbour: to the right, below, below right, below left."""
    return [
        x[..., :, 1:] - x[..., :, :-1],
        x[..., 1:, :] - x[..., :-1, :],
        x[..., 1:, 1:] - x[..., :-1, :-1],
        x[..., 1:, :-1] - x[..., :-1, 1:],
    ]


def sum_of_norms(parts: list[Tensor]) -> Tensor:
    """The Euclidean norms of the parts, added; 0 (with a gradient of 0) for a part that is all 0."""
    return torch.stack([part.norm() for part in parts]).sum()


class Magnitude(Loss):
    """The mean over images of ‖x‖ (DeepInversion's L2 prior: not squared)."""

    def __call__(self, scene: Scene) -> Tensor:
        lengths: Tensor = scene.images.flatten(1).norm(dim=1)
        return lengths.mean()


class Correlation(Loss):
    """How alike different images are: the mean squared cosine of their pixels, over all pairs.

    Inspired by DSG's sample-correlation inhibition, which pulls spectrum and eigenvectors of this
    matrix of cosines S towards those of Gaussian images. Gaussian rows have S close to the identity,
    so both push S there, and this form needs no gradient through eigenvectors, whose sign is arbitrary.
    """

    def __call__(self, scene: Scene) -> Tensor:
        cosines = pixel_cosines(scene.images)
        n = len(cosines)
        off_diagonal = cosines.square().sum() - cosines.diagonal().square().sum()
        return off_diagonal / max(n * (n - 1), 1)


class Spectrum(Loss):
    """DSG's spectral part as published: 10⁻⁴ · MSE of the cosine matrix's eigenvalues to Gaussian images'.

    The published term on eigenvectors, which is added to it there, is left out: their signs are arbitrary.
    """

    SCALE = 1e-4  # the paper's, within the term; its weight is 1 / layers

    def __init__(self, gaussian: Tensor) -> None:
        self._wanted = torch.linalg.eigvalsh(pixel_cosines(gaussian))

    def __call__(self, scene: Scene) -> Tensor:
        found = torch.linalg.eigvalsh(pixel_cosines(scene.images))
        return self.SCALE * F.mse_loss(found, self._wanted.to(found))

    def state_dict(self) -> dict[str, Any]:
        return {"wanted": self._wanted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._wanted = state["wanted"]


def pixel_cosines(images: Tensor) -> Tensor:
    """Cosines between the images as vectors of pixels, [images, images]."""
    flat = F.normalize(images.flatten(1), dim=1)
    return flat @ flat.T
