"""A few images that reach far beyond the rest, and so set the ranges of layers for all."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import Layer, RunRecord, layer_gain
from engine.analysis.doctor.rule import Rule, severity_of

COARSER = 1.5  # times: what such an image does to a step, from where it matters
MOST = 0.25  # of the images: more are no outliers
BRIGHT = 10.0  # times the median image's root mean square: such an image is wrong in itself
NAMED = 8


class ImageRange(Rule):
    """Names the layer whose step suffers most, and the images."""

    name = "image-range"
    title = "An image sets this layer's range"
    source = "measured: the grid fitted again without the image"
    order = 5

    def look(self, record: RunRecord) -> Iterator[Finding]:
        hit = [one for one in record.layers if _coarser(one) >= COARSER]
        if not hit:
            return
        worst = max(hit, key=_coarser)
        assert worst.input is not None
        assert worst.input.wild is not None
        images = _images(hit)
        if not 0 < len(images) <= MOST * record.images.count:
            return
        wild, bright = worst.input.wild, _are_bright(record, images)
        gain = layer_gain(worst, inputs=wild.gain_db)
        named = ", ".join(map(str, images[:NAMED])) + (", .." if len(images) > NAMED else "")
        yield Finding(
            cause=f"Image{'s' if len(images) > 1 else ''} {named} of {record.images.count} set the range of "
            f"{worst.path} and of {len(hit) - 1} more layers: with them its step is {wild.step_ratio:.1f} "
            "times as coarse for all others.",
            severity="yellow" if bright else severity_of(worst, gain), layer=worst.path,
            sure=bright,
            evidence={"images": images, "step_ratio": {one.path: _coarser(one) for one in hit},
                      "reach": worst.input.images.tolist(), "gain_db": wild.gain_db},
            change=Change(words=f"leave image{'s' if len(images) > 1 else ''} {named} out",
                          leave_out=tuple(images)),
            predicted_gain=gain, unit="dB of the layer",
        )  # fmt: skip


def _are_bright(record: RunRecord, images: list[int]) -> bool:
    """Whether the images themselves are unlike the others, not only what becomes of them inside."""
    sizes = record.images.sizes
    return len(sizes) > max(images) and bool(np.median(sizes[images]) > BRIGHT * np.median(sizes))


def _images(hit: list[Layer]) -> list[int]:
    """The images that set the range of half of these layers at least."""
    counts = Counter(
        k for one in hit if one.input and one.input.wild for k in one.input.wild.images
    )
    return sorted(k for k, layers in counts.items() if 2 * layers >= len(hit))


def _coarser(layer: Layer) -> float:
    wild = layer.input.wild if layer.input else None
    return wild.step_ratio if wild else 1.0
