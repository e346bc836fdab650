"""Images that are all alike: ranges and roundings are fitted to one kind of image alone."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule

ALIKE = 0.9  # mean cosine of features; Fashion-MNIST's own images are at 0.5
CLASSES = 0.5  # share of the classes seen


class AlikeImages(Rule):
    """By the features of the teacher's last layer, and by the classes that it sees."""

    name = "alike-images"
    title = "Images too uniform"
    source = "Zhang et al., Diversifying Sample Generation (DSG), CVPR 2021"
    order = 70

    def look(self, record: RunRecord) -> Iterator[Finding]:
        images = record.images
        alike = images.alike is not None and images.alike > ALIKE
        one_sided = images.classes_seen is not None and images.classes_seen < CLASSES
        if images.count < 4 or not (alike or one_sided):
            return
        said = []
        if alike:
            said.append(
                f"two of the images have features with a cosine of {images.alike:.2f} on average"
            )
        if one_sided:
            said.append(
                f"the teacher sees {100 * (images.classes_seen or 0):.0f} % of its classes in them"
            )
        yield Finding(
            cause=f"The images are much alike: {' and '.join(said)}. Take another way to make images, with "
            "labels or a generator.",
            severity="yellow", evidence={"alike": images.alike, "classes_seen": images.classes_seen},
        )  # fmt: skip
