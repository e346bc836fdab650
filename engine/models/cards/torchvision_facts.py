"""What torchvision says of its classifiers: from itself, or as it was written down for the bundled version.

To import torchvision and to build a hundred networks takes seconds, and a menu needs neither. The file is
read only where the installed version is the one that it was written for.
`python -m engine.models.cards.torchvision_facts` writes it anew.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import nn

from engine.models.card import ASSETS
from engine.models.checkpoints.outline import Count, count
from engine.models.import_torchvision import torchvision_models

FILE = ASSETS / "torchvision.json"
PREFIX = "torchvision/"
TRANSFORMERS = ("vit_", "swin_", "maxvit_")


@dataclass(frozen=True, slots=True)
class Architecture:
    """Builds a network without weights; equal for all cards of one architecture."""

    name: str

    def __call__(self) -> nn.Module:
        options: dict[str, Any] = {}
        if self.name in ("googlenet", "inception_v3"):
            # The weights were trained on pixels that the network normalises once more by itself.
            options = {"transform_input": True, "aux_logits": False, "init_weights": False}
        model: nn.Module = torchvision_models().get_model(self.name, weights=None, **options)
        return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One member of a weight enum, and the size of its network."""

    architecture: str
    weights: str
    url: str
    recipe: str
    dataset: str
    top1: float  # in [0, 1]
    crop: int
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    categories: tuple[str, ...]
    counted: Count | None = None  # None: not yet


@cache
def offered() -> dict[str, Facts]:
    """All convolutional classifiers by name: as written down, or as torchvision tells them now."""
    return written_down() or live()


def written_down(file: Path = FILE) -> dict[str, Facts] | None:
    """What the file says; None where it is not there, or of another version than the installed one."""
    try:
        kept = json.loads(file.read_text())
        if kept["torchvision"] != _installed():
            return None
        return {
            name: Facts(
                **one
                | {
                    "mean": tuple(one["mean"]),
                    "std": tuple(one["std"]),
                    "categories": tuple(kept["categories"][one["categories"]]),
                    "counted": Count(**one["counted"]),
                }
            )
            for name, one in kept["networks"].items()
        }
    except (OSError, ValueError, LookupError, TypeError):
        return None


def live() -> dict[str, Facts]:
    """The same from torchvision itself, with nothing counted.

    The plain name has the original weights, which papers on quantization report; others follow.
    """
    models = torchvision_models()
    found = {}
    for architecture in models.list_models(module=models):
        if architecture.startswith(TRANSFORMERS):
            continue
        for weights in models.get_model_weights(architecture):
            if not weights.meta.get("categories"):  # features alone, for other tasks
                continue
            number = weights.name.removeprefix("IMAGENET1K_").lower().replace("_", "-")
            suffix = "" if number == "v1" else f"-{number}"
            found[f"{PREFIX}{architecture}{suffix}"] = _facts(architecture, weights)
    return found


def _facts(architecture: str, weights: Any) -> Facts:
    chosen, meta = weights.transforms(), weights.meta
    (crop,), (resize,) = chosen.crop_size, chosen.resize_size
    ((dataset, metrics),) = meta["_metrics"].items()
    return Facts(
        architecture=architecture, weights=weights.name, url=weights.url, recipe=meta.get("recipe", ""),
        dataset=dataset, top1=metrics["acc@1"] / 100, crop=crop, resize=resize,
        interpolation=chosen.interpolation.value, mean=tuple(chosen.mean), std=tuple(chosen.std),
        categories=tuple(meta["categories"]),
    )  # fmt: skip


def _installed() -> str:
    """Torchvision's version without its build, as "0.28.0"; "" where it is not installed."""
    try:
        return version("torchvision").partition("+")[0]
    except PackageNotFoundError:
        return ""


def write(file: Path = FILE) -> None:
    """Write down what torchvision tells, and what its networks come to when they are built."""
    lists: list[tuple[str, ...]] = []
    networks = {}
    for name, facts in live().items():
        if facts.categories not in lists:
            lists.append(facts.categories)
        counted = asdict(count(Architecture(facts.architecture)))
        networks[name] = asdict(facts) | {
            "categories": lists.index(facts.categories), "counted": counted,
        }  # fmt: skip
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in networks.items())
    file.write_text(
        f'{{"torchvision": {json.dumps(_installed())},\n"categories": {json.dumps(lists)},\n'
        f'"networks": {{\n{lines}\n}}}}\n'
    )


if __name__ == "__main__":
    write()
