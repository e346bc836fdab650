"""Images that are all alike: ranges and roundings are fitted to one kind of image alone."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule

ALIKE = 0.9  # mean cosine of features; the bundled networks have 0.35 to 0.45 with real images
CLASSES = 0.5  # of the classes that there are


class AlikeImages(Rule):
    """By the features of the teacher's last layer, and by the classes that it sees."""

    name = "alike-images"
    title = "Images too uniform"
    source = "Zhang et al., Diversifying Sample Generation (DSG), CVPR 2021"
    order = 70

    def look(self, record: RunRecord) -> Iterator[Finding]:
        images = record.images
        alike = images.alike is not None and images.alike > ALIKE
        seen = images.classes_seen
        one_sided = seen is not None and bool(images.classes) and seen < CLASSES * images.classes
        if images.count < 4 or not (alike or one_sided):
            return
        said = []
        if alike:
            said.append(
                f"two of the images have features with a cosine of {images.alike:.2f} on average"
            )
        if one_sided:
            said.append(f"the teacher sees {seen:.1f} classes of {images.classes} in them")
        yield Finding(
            cause=f"The images are much alike: {' and '.join(said)}. Take another way to make images, with "
            "labels or a generator.",
            severity="yellow", evidence={"alike": images.alike, "classes_seen": images.classes_seen},
        )  # fmt: skip
