"""The choices of `quantoscope`, made on training images and reported on test images that made none of them.

Choice after choice, in the order of the ladder (ladder.py): every candidate is run on top of what was
chosen before, and the best on 2000 training images, on average over the seeds, is kept. Each run is judged
on all images at once; the test images are only counted. Weights of 2 bits, activations of 4, the published
ResNet-20 on CIFAR-10, in the setting of the published figures (parity.py).
"""

import json
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.run.benches.ladder import LADDER, mean_of, percent
from engine.run.benches.parity import IMAGES, STEPS, cifar_network, image_folder, results_of
from engine.run.folders.folder import write_atomically

BITS, DEPTH = 2, 20
CHOSEN_ON, REPORTED_ON = ("train-0000-0999.png", "train-1000-1999.png"), (IMAGES,)
_RELEASED, _RELATIVE = (LADDER[name] for name in list(LADDER)[:2])
CHOICES: Mapping[str, Sequence[Mapping[str, Any]]] = {  # the released value first: ties keep it
    "step sizes": ({}, _RELATIVE),
    "rate of the roundings": (
        {}, {"lr_rounding": 5e-3}, {"lr_rounding": 2e-2}, {"lr_rounding": 5e-2},
    ),
    "weight of the regulariser": ({}, {"rounding_weight": 0.3}, {"rounding_weight": 0.1}),
    "BatchNorm": ({}, {"batchnorm": "delta"}),
    "mirrored images": ({}, {"mirror": True}),
}  # fmt: skip
KINDS = ("chosen_on", "reported_on")  # of images


def rates(
    data: Path, runs: Path, seeds: Sequence[int], out: Path, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Choice by choice the candidates, what they reach on either kind of images, and which was kept.

    `data` as for parity, with the training images beside the test images. The file `out` is written anew
    after every choice; begun again, what was finished is found among the runs.
    """
    network = cifar_network(data, runs / "parity", DEPTH)
    pictures = {"choose-": CHOSEN_ON, "report-": REPORTED_ON}  # in the order of their names
    images = image_folder(data, pictures, runs / "rates" / "images")
    network["data"] = str(images)
    first = len(list(images.glob("choose-*.png")))
    result, settings = _heading(seeds), {"steps": STEPS} | _RELEASED
    for choice, candidates in CHOICES.items():
        found: list[dict[str, Any]] = []
        for change in candidates:
            results = results_of(
                network, "genie-m", settings | dict(change), BITS, runs / "rates", seeds
            )
            found.append({"change": dict(change)} | judged(results, first))
            told = " and ".join(f"{percent(mean_of(found[-1][kind]))} {kind}" for kind in KINDS)
            tell(f"{choice}, {change_words(change)}: {told}")
        kept = best(found)
        settings = settings | found[kept]["change"]
        result["choices"].append({"of": choice, "candidates": found, "kept": kept})
        result |= {"date": _now(), "settings": settings}
        write_atomically(out, (json.dumps(result, indent=1) + "\n").encode())
    return result


def best(candidates: Sequence[Mapping[str, Any]]) -> int:
    """Which candidate is the best on the images to choose on; the first of equals."""
    means = [mean_of(one["chosen_on"]) or 0.0 for one in candidates]
    return means.index(max(means))


def split(right: str, count: int, first: int) -> tuple[float, float]:
    """The share that is right of the first so many of `count` images and of the others (see `packed`)."""
    bits = f"{int(right, 16):0{count}b}"
    return bits[:first].count("1") / first, bits[first:].count("1") / (count - first)


def rows_of(result: Mapping[str, Any]) -> list[list[str]]:
    """The table for a person: every candidate of every choice, means over the seeds."""
    head = ["choice", "candidate", "training images", "test images", "kept"]
    return [head] + [
        [
            choice["of"],
            change_words(one["change"]),
            *(percent(mean_of(one[kind])) for kind in KINDS),
            "yes" if k == choice["kept"] else "",
        ]
        for choice in result["choices"]
        for k, one in enumerate(choice["candidates"])
    ]


def change_words(change: Mapping[str, Any]) -> str:
    """For example "lr_rounding=0.02"; "as it is" where nothing is changed."""
    return ", ".join(f"{name}={value}" for name, value in change.items()) or "as it is"


def judged(results: Iterable[Mapping[str, Any]], first: int) -> dict[str, list[float]]:
    """Top-1 by seed on either kind of images, of which the first so many are those to choose on."""
    pairs = [split(one["right"], one["test_images"], first) for one in results]
    return {kind: [round(pair[k], 5) for pair in pairs] for k, kind in enumerate(KINDS)}


def _heading(seeds: Sequence[int]) -> dict[str, Any]:
    listed = ",".join(map(str, seeds))
    return {
        "command": f"python -m engine bench rates --seeds {listed} --data CIFAR10",
        "network": f"ResNet-{DEPTH} · CIFAR-10",
        "seeds": list(seeds),
        "bits": {"weights": BITS, "activations": 4},
        "steps": STEPS,
        "images": {"chosen_on": list(CHOSEN_ON), "reported_on": list(REPORTED_ON)},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "choices": [],
    }


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())
