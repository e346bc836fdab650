"""Two networks' outputs to the same images, compared by what they are: taken in batch by batch."""

import math
from typing import Any

import torch
from torch import Tensor

from engine.analysis.answers.accuracy import (
    agreement,
    embedding_cosines,
    logit_kl,
    paired_drop,
    top1,
    wilson,
)
from engine.analysis.answers.verification import verify
from engine.analysis.layers.errors import decibels, image_psnrs
from engine.core.divergence import score_rows
from engine.core.paired import packed

_UNKNOWN = dict.fromkeys(
    ("fp32_top1", "quantized_top1", "top1_band", "top1_drop", "right", "agreement", "logit_kl")
)


class Outputs:
    """What every kind has: how far the student's outputs are from its teacher's, in dB and by direction.

    `add` takes both networks' outputs to the same images, [n, ...], finite; `values` is what the result
    says, with None for what such outputs do not have.

    Scores of classes mean the same when all of an image's (of a pixel's) are shifted by one number: logits,
    and the logarithms of their softmax, are told apart by nothing else. So each is taken from its mean over
    the classes, and the same student has the same SQNR whether a softmax stands behind it or not.
    """

    up_to_a_constant = False  # whether one number may be added to all scores along dimension 1

    def __init__(self) -> None:
        self._energies: list[Tensor] = []  # (signal, noise) of each image, [n, 2]
        self._cosines: list[Tensor] = []

    def add(self, teacher: Tensor, student: Tensor) -> None:
        a, b = (self._as_meant(y.double()).flatten(1) for y in (teacher, student))
        self._energies.append(torch.stack([a.square().sum(1), (a - b).square().sum(1)], 1))
        self._cosines.append(embedding_cosines(a, b))

    def _as_meant(self, y: Tensor) -> Tensor:
        return y - y.mean(1, keepdim=True) if self.up_to_a_constant else y

    @staticmethod
    def nothing() -> dict[str, Any]:
        """The values where nothing was compared."""
        return {**_UNKNOWN, "output_sqnr_db": None}

    def values(self, labels: Tensor | None) -> dict[str, Any]:
        signal, noise = torch.cat(self._energies).sum(0).tolist()
        return self.nothing() | {"output_sqnr_db": round(decibels(signal, noise), 3)}

    def cosine(self) -> dict[str, float]:
        """Of the outputs of an image, on average and for the worst image."""
        cosines = torch.cat(self._cosines)
        return {"mean": float(cosines.mean()), "least": float(cosines.min())}


class Embeddings(Outputs):
    """Of a network without classes: how well directions are kept, and how well they tell labels apart."""

    def __init__(self) -> None:
        super().__init__()
        self._teacher: list[Tensor] = []
        self._student: list[Tensor] = []

    def add(self, teacher: Tensor, student: Tensor) -> None:
        super().add(teacher, student)
        self._teacher.append(teacher.flatten(1))
        self._student.append(student.flatten(1))

    def values(self, labels: Tensor | None) -> dict[str, Any]:
        found = self.cosine()
        values = super().values(labels) | {"cosine": found["mean"], "embedding_cosine": found}
        if labels is None:
            return values
        embeddings = torch.cat(self._teacher), torch.cat(self._student)
        return values | {"verification": verify(labels, *embeddings)}


class Images(Outputs):
    """Of a network that gives images: signal to noise, and the same in units of the teacher's range."""

    def __init__(self) -> None:
        super().__init__()
        self._low, self._high, self._numbers = math.inf, -math.inf, 0
        self._to_truth: dict[str, list[Tensor]] = {}

    def add(self, teacher: Tensor, student: Tensor) -> None:
        super().add(teacher, student)
        self._low = min(self._low, float(teacher.min()))
        self._high = max(self._high, float(teacher.max()))
        self._numbers += teacher.numel()

    def add_truth(self, truth: Tensor, **images: Tensor) -> None:
        """What the images should be, and what each makes of them: pixels [n, ...] in [0, 1]."""
        for name, one in images.items():
            self._to_truth.setdefault(name, []).append(image_psnrs(one, truth))

    def values(self, labels: Tensor | None) -> dict[str, Any]:
        energies = torch.cat(self._energies)
        mse = float(energies[:, 1].sum()) / self._numbers
        least = min(decibels(*pair) for pair in energies.tolist())
        return super().values(labels) | {
            "psnr_db": round(decibels((self._high - self._low) ** 2, mse), 3),
            "output_sqnr_least_db": round(least, 3),  # of the worst image
            "cosine": self.cosine()["mean"],
            "truth_psnr_db": self._truth(),
        }

    def _truth(self) -> dict[str, float] | None:
        """The mean over images of each one's PSNR to the truth; None where the truth is not known."""
        found = {name: torch.cat(each) for name, each in self._to_truth.items()}
        return {name: round(float(psnrs.mean()), 3) for name, psnrs in found.items()} or None


class Scores(Outputs):
    """Of a classifier, [n, classes]: how often it is right, and how alike both answer."""

    up_to_a_constant = True

    def __init__(self) -> None:
        super().__init__()
        self._teacher: list[Tensor] = []
        self._student: list[Tensor] = []

    def add(self, teacher: Tensor, student: Tensor) -> None:
        super().add(teacher, student)
        self._teacher.append(teacher)
        self._student.append(student)

    def running(self, labels: Tensor) -> dict[str, float]:
        """Top-1 of both so far."""
        found = {}
        for part, logits in (("teacher", self._teacher), ("student", self._student)):
            scores = torch.cat(logits)
            found[part] = top1(scores, labels[: len(scores)])
        return found

    def values(self, labels: Tensor | None) -> dict[str, Any]:
        teacher, student = torch.cat(self._teacher), torch.cat(self._student)
        same, count = agreement(teacher, student), len(teacher)
        values = super().values(labels) | {
            "agreement": same,
            "agreement_band": list(wilson(round(same * count), count)),
            "logit_kl": logit_kl(teacher, student),
            "answers": len(teacher.argmax(1).unique()),  # classes that the teacher sees in them
        }
        if labels is None:
            return values
        tops = {"fp32": top1(teacher, labels), "quantized": top1(student, labels)}
        bands = {name: wilson(round(top * count), count) for name, top in tops.items()}
        drop = paired_drop(teacher, student, labels)
        return values | {
            "fp32_top1": tops["fp32"],
            "quantized_top1": tops["quantized"],
            "top1_drop": drop._asdict() | {"band": list(drop.band)},
            # So that runs on the same images can be told apart image by image.
            "right": packed((student.argmax(1) == labels).tolist()),
            "top1_band": {name: list(band) for name, band in bands.items()},
        }


class Maps(Outputs):
    """Of a network that gives scores of classes for every pixel, [n, classes, h, w]."""

    up_to_a_constant = True

    def __init__(self) -> None:
        super().__init__()
        self._same: list[Tensor] = []  # share of an image's pixels
        self._divergences: list[float] = []
        self._answers: set[int] = set()

    def add(self, teacher: Tensor, student: Tensor) -> None:
        super().add(teacher, student)
        answers = teacher.argmax(1)
        self._same.append((answers == student.argmax(1)).double().flatten(1).mean(1))
        divergence = logit_kl(score_rows(teacher), score_rows(student))
        self._divergences.append(divergence * len(teacher))
        self._answers |= set(answers.unique().tolist())

    def values(self, labels: Tensor | None) -> dict[str, Any]:
        same = torch.cat(self._same)
        return super().values(labels) | {
            "agreement": float(same.mean()),
            "agreement_least": float(same.min()),  # of the worst image
            "logit_kl": sum(self._divergences) / len(same),
            "answers": len(self._answers),
        }


KINDS: dict[str, type[Outputs]] = {
    "logits": Scores,
    "one-logit": Scores,
    "segmentation": Maps,
    "image": Images,
    "embedding": Embeddings,
}


def one_answer(kind: str, values: dict[str, Any]) -> str:
    """Why an agreement says little, where the teacher always gives the same class; else empty."""
    if values.get("answers") != 1:
        return ""
    each = "pixel" if kind == "segmentation" else "image"
    return (
        f"The float network gives every {each} the same class, so that agreement says little: look at the "
        "KL and the SQNR of the outputs."
    )
