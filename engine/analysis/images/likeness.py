"""Numbers and maps from image statistics of sets, for comparing them; needs numpy alone.

Every number has a name, a definition and a direction: what more of it means.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of image statistics; `of` returns None where they cannot tell."""

    name: str
    title: str
    definition: str
    direction: str
    of: Callable[[Arrays], float | None]


def joint_map(all_statistics: Sequence[Arrays]) -> list[np.ndarray]:
    """Each set's features [n, d] on one plane, [n, 2]: the two main axes of all of them together.

    Principal components of the centred union, signs fixed so that the same statistics give the same map.
    """
    parts = [np.asarray(p["features"], np.float64) for p in all_statistics]
    union = np.concatenate(parts)
    centre = union.mean(0)
    _, _, axes = np.linalg.svd(union - centre, full_matrices=False)
    plane = axes[:2]
    if len(plane) < 2:
        plane = np.vstack([plane, np.zeros((2 - len(plane), union.shape[1]))])
    strongest = np.abs(plane).argmax(1)
    signs = np.where(plane[np.arange(2), strongest] < 0, -1.0, 1.0)
    return [(part - centre) @ (plane * signs[:, None]).T for part in parts]


def measures_of(statistics: Arrays) -> dict[str, float | None]:
    """Every measure of the statistics, by its name."""
    return {measure.name: _value(measure, statistics) for measure in MEASURES}


def _value(measure: Measure, statistics: Arrays) -> float | None:
    try:
        return measure.of(statistics)
    except KeyError:  # of classes, where the network has none
        return None


def _mean(name: str) -> Callable[[Arrays], float | None]:
    def of(statistics: Arrays) -> float | None:
        values = np.asarray(statistics[name], np.float64)
        return float(values.mean()) if values.size else None

    return of


def _pixel_correlation(statistics: Arrays) -> float | None:
    values = np.asarray(statistics["pixel_cosines"], np.float64)
    return float(np.abs(values).mean()) if values.size else None


def _feature_distance(statistics: Arrays) -> float | None:
    values = np.asarray(statistics["feature_cosines"], np.float64)
    return float(1 - values.mean()) if values.size else None


def within_class_distance(statistics: Arrays) -> float | None:
    """The mean of 1 − cos over pairs of features of one class, averaged over classes with two or more."""
    features = np.asarray(statistics["features"], np.float64)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    means = []
    for label in np.unique(statistics["classes"]):
        rows = unit[statistics["classes"] == label]
        if len(rows) > 1:
            cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
            means.append(float(1 - cosines.mean()))
    return float(np.mean(means)) if means else None


def separation(statistics: Arrays) -> float | None:
    """Scatter of the class centres over the mean scatter within classes (squared distances of features)."""
    features = np.asarray(statistics["features"], np.float64)
    labels = np.asarray(statistics["classes"])
    overall, between, within = features.mean(0), 0.0, 0.0
    for label in np.unique(labels):
        rows = features[labels == label]
        between += len(rows) * float(np.square(rows.mean(0) - overall).sum())
        within += float(np.square(rows - rows.mean(0)).sum())
    return between / within if within > 0 else None


def _fine_share(statistics: Arrays) -> float | None:
    return float(statistics["power"][statistics["frequencies"] > 0.25].sum())


def _boundary(statistics: Arrays) -> float | None:
    return float((np.asarray(statistics["margin"]) < 0.5).mean())


MEASURES = (
    Measure(
        "bn_distance", "Distance from the stored means",
        "mean over layers and channels of |mean over images − stored mean|, in stored standard deviations",
        "lower: nearer to the data that the network was trained on", _mean("bn_distance"),
    ),
    Measure(
        "spread", "Spread of per-image means",
        "mean over layers and channels of the standard deviation, over images, of each image's own mean, "
        "in stored standard deviations",
        "higher: images differ more from each other", _mean("spread"),
    ),
    Measure(
        "deviation_spread", "Spread of per-image deviations",
        "the same of each image's own standard deviation in place of its mean",
        "higher: images differ more from each other", _mean("deviation_spread"),
    ),
    Measure(
        "pixel_correlation", "Pixel correlation",
        "mean |cosine| between the pixels of two different images",
        "lower: images repeat each other less", _pixel_correlation,
    ),
    Measure(
        "feature_distance", "Distance of features",
        "mean of 1 − cosine between the penultimate features of two different images",
        "higher: more diverse to the teacher", _feature_distance,
    ),
    Measure(
        "within_class_distance", "Distance within a class",
        "the same among images of which the teacher thinks the same class, averaged over classes",
        "higher: a class has more faces", within_class_distance,
    ),
    Measure(
        "separation", "Separation of classes",
        "scatter of the class centres of the features over the mean scatter within the classes",
        "higher: classes lie further apart", separation,
    ),
    Measure(
        "classes_seen", "Classes seen",
        "e to the entropy of the mean softmax: the effective number of classes that the teacher sees",
        "higher: more classes have images", _mean("classes_seen"),
    ),
    Measure(
        "confidence", "Teacher's confidence",
        "mean of each image's largest probability",
        "higher: the teacher is surer; real images lie near its accuracy", _mean("confidence"),
    ),
    Measure(
        "boundary", "Images near a boundary",
        "share of images whose two largest probabilities differ by less than 0.5",
        "higher: more images between two classes", _boundary,
    ),
    Measure(
        "fine_share", "Power in fine detail",
        "share of the images' power above 0.25 cycles a pixel",
        "lower: smoother; much of it is a sign of noise", _fine_share,
    ),
    Measure(
        "total_variation", "Total variation",
        "mean absolute difference of neighbouring pixels, in the network's input units",
        "lower: smoother", _mean("total_variation"),
    ),
)  # fmt: skip
