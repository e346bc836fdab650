"""What real images, or none at all, say of the declared pixel mean and standard deviation."""

from engine.analysis.diagnosis.finding import Finding
from engine.analysis.inputs.normalisation import PHOTO_STD, Implied, Match, Normalisation

WAY_OUT = "Set model.mean and model.std to what the network was trained with"


def by_images(
    stem: str,
    declared: Normalisation,
    seen: Match,
    usual: tuple[str, Normalisation, Match],
) -> Finding:
    """The verdict of real images; a strong test. A finding of level note where all agrees."""
    figures = (
        f"{seen.images} real images, normalised with mean {_numbers(declared[0])} and std "
        f"{_numbers(declared[1])}, reach {stem} with {seen.std_ratio:.2f} times the standard deviation "
        f"that it stored, and {seen.mean_shift:.2f} of it beside its mean"
    )
    if seen.is_near:
        return Finding(
            level="note", kind="normalisation-agrees", title="The input is as in training",
            message=figures, advice="Nothing to do: mean and std fit these weights.", layer=stem,
        )  # fmt: skip
    name, (mean, std), match = usual
    if match.is_near and match.distance < seen.distance / 2:
        advice = (
            f"{WAY_OUT}: with {name} (mean {_numbers(mean)}, std {_numbers(std)}) the ratio is "
            f"{match.std_ratio:.2f} and the shift {match.mean_shift:.2f}."
        )
    else:
        guess = [value * seen.std_ratio for value in declared[1]]
        advice = (
            f"{WAY_OUT}; a std near {_numbers(guess)} would meet the statistics. If it is right, these "
            "images are unlike the training set."
        )
    return Finding(
        level="problem" if seen.distance >= 1 else "warning",
        kind="normalisation", title="The input is not as in training",
        message=figures, advice=advice, layer=stem,
    )  # fmt: skip


def without_images(stem: str, declared: Normalisation, told: Implied) -> Finding:
    """The verdict of the stored statistics alone; a weak test, which never calls anything a problem."""
    figures = (
        f"By the declared mean {_numbers(declared[0])} and std {_numbers(declared[1])}, {stem} remembers "
        f"training images with a pixel mean near {_numbers(told.mean)} and a standard deviation near "
        f"{told.std:.2f} (estimated without images: weak)"
    )
    if told.is_plausible:
        return Finding(
            level="note", kind="normalisation-plausible", title="The input looks as in training",
            message=figures,
            advice="Plausible for photographs. Give a folder of real images (--data) for a strong test.",
            layer=stem,
        )  # fmt: skip
    return Finding(
        level="warning", kind="normalisation", title="The input may not be as in training",
        message=f"{figures}; pixels of photographs have {PHOTO_STD[0]} to {PHOTO_STD[1]}",
        advice=f"{WAY_OUT}, or give a folder of real images (--data): with them the test is strong.",
        layer=stem,
    )  # fmt: skip


def _numbers(values: object) -> str:
    assert isinstance(values, (tuple, list))
    return ", ".join(f"{value:.3g}" for value in values)
