"""Real images normalised otherwise than in training: the network runs, and answers worse."""

from collections.abc import Iterator

from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.record import RunRecord
from engine.analysis.doctor.rule import Rule

CLEARLY_OFF = 1.0


class WrongNormalisation(Rule):
    """The first BatchNorm remembers how its input looked; images that do not meet it are fed otherwise."""

    name = "normalisation"
    title = "Wrong normalisation of the images"
    source = "measured: the first BatchNorm's stored statistics against real images at its input"
    order = 1

    def look(self, record: RunRecord) -> Iterator[Finding]:
        fed = record.fed
        if fed is None or fed.near:
            return
        found = fed.better and fed.better_distance < fed.distance / 2
        words = f"normalise with {fed.better} (mean {_text(fed.better_mean)}, std {_text(fed.better_std)})"
        settings = {"mean": list(fed.better_mean), "std": list(fed.better_std)}
        yield Finding(
            cause=f"{fed.images} real images, normalised with mean {_text(fed.mean)} and std "
            f"{_text(fed.std)}, reach {fed.stem} with {fed.std_ratio:.2f} times the standard deviation "
            f"that it stored and {fed.mean_shift:.2f} of it beside its mean.",
            severity="red" if fed.distance >= CLEARLY_OFF else "yellow", layer=fed.stem, sure=True,
            evidence={"std_ratio": fed.std_ratio, "mean_shift": fed.mean_shift, "distance": fed.distance,
                      "better": fed.better, "better_distance": fed.better_distance},
            change=Change(words=words, model_settings=settings) if found else None,
        )  # fmt: skip


def _text(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
