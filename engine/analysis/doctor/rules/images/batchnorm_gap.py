"""Images far from what BatchNorm remembers: layers are fitted to values that data never give."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule

FAR = 0.3  # stored standard deviations; the bundled networks have 0.03 with real images, 0.5 with noise
MAKER = "genie"


class BatchNormGap(Rule):
    """More steps bring optimised images nearer; noise stays as far."""

    name = "batchnorm-gap"
    title = "Images far from the stored statistics"
    source = "Cai et al., ZeroQ, CVPR 2020, eq. 3; Yin et al., DeepInversion, CVPR 2020"
    order = 65

    def look(self, record: RunRecord) -> Iterator[Finding]:
        images = record.images
        if images.distance is None or images.distance < FAR:
            return
        change = None
        if images.synthesis == "noise":
            change = Change(words=f"make the images from the statistics ({MAKER})", synthesis=MAKER)
        elif images.optimised and images.steps:
            words = f"make the images in {2 * images.steps} steps"
            change = Change(words=words, synthesis_settings={"steps": 2 * images.steps})
        yield Finding(
            cause=f"The means of the images ({images.synthesis}) are {images.distance:.2f} stored standard "
            "deviations from what BatchNorm remembers of the training data, over all layers.",
            severity="yellow", evidence={"distance": images.distance, "synthesis": images.synthesis},
            change=change,
        )  # fmt: skip
