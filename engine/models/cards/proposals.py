"""What the images of a brought network are probably like: guesses, and said to be guesses.

A checkpoint does not say in which space its pixels lived. The number of its classes and channels, and
who usually wrote such files, allow a guess; real images tell whether it is right.
"""

from dataclasses import dataclass

from engine.models.cards import fashion
from engine.models.cards.from_architecture import CIFAR_RESNET, Guess, architecture_card
from engine.models.checkpoints.read import Checkpoint

CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# Per channel, of the training images in [0, 1]; as the sets' usual training scripts have them.
NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CIFAR-100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "Fashion-MNIST": ((fashion.MEAN,), (fashion.STD,)),
    "MNIST": ((0.1307,), (0.3081,)),
    "halves": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A form filled in with best guesses, and why each was made."""

    title: str
    dataset: str
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int
    interpolation: str
    classes: tuple[str, ...]  # names; () where nobody can know them
    class_count: int
    reasons: tuple[str, ...]


def propose(checkpoint: Checkpoint, guess: Guess) -> Proposal:
    """The most likely input space of a checkpoint of this architecture."""
    card = architecture_card(guess.architecture, guess.parameters)
    head = [t.shape[0] for t in checkpoint.tensors.values() if t.ndim in (2, 4)]
    count = len(card.classes) or int(guess.parameters.get("classes", head[-1] if head else 0))
    channels = card.image_shape[0]
    if guess.architecture != CIFAR_RESNET:
        own = card.image_shape[0] == len(card.mean)
        return Proposal(
            title=card.title.partition(" · ")[0], dataset=card.dataset if card.classes else "",
            image_shape=card.image_shape, mean=card.mean, std=card.std, resize=card.resize,
            interpolation=card.interpolation, classes=card.classes, class_count=count,
            reasons=(
                f"size, mean and std are those that {guess.architecture} is known with"
                if own else "mean and std are not known for so many channels",
            ),
        )  # fmt: skip
    dataset, names, side = _small_set(channels, count)
    mean, std = _cifar_space(checkpoint, dataset, channels)
    return Proposal(
        title=card.title, dataset=dataset, image_shape=(channels, side, side), mean=mean, std=std,
        resize=side, interpolation="bicubic", classes=names, class_count=count,
        reasons=tuple(_cifar_reasons(checkpoint, dataset, channels, count)),
    )  # fmt: skip


def _small_set(channels: int, classes: int) -> tuple[str, tuple[str, ...], int]:
    known = {
        (3, 10): ("CIFAR-10", CIFAR10, 32),
        (3, 100): ("CIFAR-100", (), 32),
        (1, 10): ("Fashion-MNIST", fashion.CLASSES, fashion.SIDE),
    }
    return known.get((channels, classes), ("", (), 28 if channels == 1 else 32))


def _cifar_space(
    checkpoint: Checkpoint, dataset: str, channels: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if channels == 3 and _names_head_linear(checkpoint):
        return NORMALISATIONS["ImageNet"]
    if dataset:
        return NORMALISATIONS[dataset]
    return (0.5,) * channels, (0.5,) * channels


def _names_head_linear(checkpoint: Checkpoint) -> bool:
    return "linear.weight" in checkpoint.tensors


def _cifar_reasons(checkpoint: Checkpoint, dataset: str, channels: int, count: int) -> list[str]:
    reasons = []
    if dataset:
        reasons.append(f"{channels} channels and {count} classes: probably {dataset}")
    else:
        reasons.append(f"{channels} channels and {count} classes are no well-known set")
    if channels == 3 and _names_head_linear(checkpoint):
        reasons.append(
            "a head named 'linear': such CIFAR networks are mostly trained with ImageNet's mean and std"
        )
    elif channels == 1 and count == 10:
        reasons.append("MNIST has as many channels and classes; its mean is 0.1307, its std 0.3081")
    return reasons


def usual_normalisations(channels: int) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Those that exist for so many channels, by name."""
    return {name: pair for name, pair in NORMALISATIONS.items() if len(pair[0]) == channels}
