"""Image statistics of a set: what tells one set from another, as arrays that a page can draw.

Nothing here needs labels or real images: all is seen through the teacher. Directions and definitions of
the numbers taken from them stand in engine/analysis/images/likeness.py, which needs no torch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engine.analysis.images.confidence import class_spread, confidence

ImageStatistics = dict[str, np.ndarray]


@torch.no_grad()
def image_statistics(
    images: Tensor,
    logits: Tensor,
    features: Tensor,
    image_moments: Sequence[tuple[Tensor, Tensor]],
    stored: Sequence[tuple[Tensor, Tensor]],
    *,
    classifier: bool = True,
) -> ImageStatistics:
    """Arrays that describe n images [n, c, h, w] by what the teacher makes of them.

    `features` [n, d] are the input of its last layer; `image_moments` every image's own (mean, std), each
    [n, channels], at each BatchNorm layer's input, `stored` those layers' (mean, std). What is told of
    classes is left out where the teacher is no `classifier`.
    """
    frequencies, power = power_spectrum(images)
    layers = list(zip(image_moments, stored, strict=True))
    gaps = [spread_and_distance(own[0], *kept) for own, kept in layers]
    deviations = [spread_and_distance(own[1], *kept)[0] for own, kept in layers]
    return {
        "features": features.half().cpu().numpy(),
        **(_of_classes(logits) if classifier else {}),
        "pixel_cosines": pair_cosines(images.flatten(1)).half().cpu().numpy(),
        "feature_cosines": pair_cosines(features).half().cpu().numpy(),
        "frequencies": frequencies.float().cpu().numpy(),
        "power": power.float().cpu().numpy(),
        "spread": np.array([spread for spread, _ in gaps], np.float32),
        "deviation_spread": np.array(deviations, np.float32),
        "bn_distance": np.array([distance for _, distance in gaps], np.float32),
        "total_variation": np.array(total_variation(images), np.float32),
    }


def _of_classes(logits: Tensor) -> ImageStatistics:
    probabilities = logits.double().softmax(1)
    best = probabilities.topk(min(2, probabilities.shape[1]), dim=1).values
    return {
        "classes": logits.argmax(1).cpu().numpy().astype(np.int32),
        "class_probability": probabilities.mean(0).float().cpu().numpy(),
        "margin": (best[:, 0] - best[:, -1]).float().cpu().numpy(),
        "confidence": np.array(confidence(logits), np.float32),
        "classes_seen": np.array(class_spread(logits), np.float32),
    }


def pair_cosines(rows: Tensor) -> Tensor:
    """The cosine of every pair of different rows [n, d], in [-1, 1]: n (n - 1) / 2 values."""
    unit = torch.nn.functional.normalize(rows.float(), dim=1)
    above = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
    cosines: Tensor = (unit @ unit.T)[above[0], above[1]].clamp(-1, 1)
    return cosines


def spread_and_distance(per_image: Tensor, mean: Tensor, std: Tensor) -> tuple[float, float]:
    """(how far images differ from each other, how far all of them from the teacher's mean), in stored stds.

    `per_image` [n, channels] is one statistic of every image; both numbers are averages over the channels.
    """
    unit = std.clamp_min(1e-6)
    spread = (per_image.std(0, unbiased=False) / unit).mean()
    distance = ((per_image.mean(0) - mean).abs() / unit).mean()
    return float(spread), float(distance)


def power_spectrum(images: Tensor) -> tuple[Tensor, Tensor]:
    """(frequencies, power): the images' power by spatial frequency in cycles a pixel, 0 to 0.5.

    The mean over images and colours of |FFT|², gathered in rings around frequency 0 and divided so that
    all rings' pixels sum to 1; the images' own means (frequency 0) are left out.
    """
    height, width = images.shape[-2:]
    spectrum = torch.fft.fft2(images.float()).abs().square().mean((0, 1))
    rows, columns = torch.fft.fftfreq(height), torch.fft.fftfreq(width)
    radius = (rows[:, None].square() + columns[None, :].square()).sqrt().to(images.device)
    rings = max(2, min(height, width) // 2)
    ring = (radius * 2 * rings).round().long().flatten()
    inside = (ring > 0) & (ring <= rings)
    power = torch.zeros(rings + 1, device=images.device)
    power.index_add_(0, ring[inside], spectrum.flatten()[inside])
    power = power[1:] / power.sum().clamp_min(1e-30)
    return torch.arange(1, rings + 1, device=images.device) / (2 * rings), power


def total_variation(images: Tensor) -> float:
    """The mean absolute difference of neighbouring pixels, across and down: 0 for an even image."""
    across = (images[..., :, 1:] - images[..., :, :-1]).abs().mean()
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    return float((across + down) / 2)
