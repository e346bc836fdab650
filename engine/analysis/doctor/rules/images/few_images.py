"""Too few images to fit ranges and learn from."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule

FOR_GRIDS, FOR_LEARNING = (
    32,
    64,
)  # grids are fitted to the first 32; the other is our own line


class FewImages(Rule):
    """More images are made where images are made."""

    name = "few-images"
    title = "Too few images"
    source = "Nagel et al., AdaRound, ICML 2020: accuracy against the number of images"
    order = 70

    def look(self, record: RunRecord) -> Iterator[Finding]:
        enough = FOR_LEARNING if record.learns else FOR_GRIDS
        images = record.images
        if images.count >= enough:
            return
        change = (
            Change(words=f"calibrate with {enough} images", images=enough) if images.made else None
        )
        yield Finding(
            cause=f"The run was calibrated on {images.count} images; "
            + ("a quantizer that learns" if record.learns else "fitting ranges")
            + f" wants {enough} at least.",
            severity="yellow", evidence={"images": images.count, "enough": enough}, change=change,
        )  # fmt: skip
