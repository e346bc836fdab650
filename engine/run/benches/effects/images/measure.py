"""Measures the claims of claims.py beside this file: `python -m engine bench effects [--data FOLDER]`.

Every set of images is made with the same teacher, number of images and steps, and the same seeds, so that
a method and its baseline are paired. Real images to compare with are held out: none that a method reads.
"""

import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.core.errors import UserError
from engine.core.method import describe
from engine.core.sampling.randomness import stream
from engine.data.images import open_idx
from engine.models.card import ASSETS, LocalImages, ModelCard
from engine.models.cards.sources import discover_cards
from engine.run.benches.effects.images.claims import CLAIMS, ON_CIFAR, OTHER, Claim
from engine.run.benches.effects.images.measures import METRICS, Made, Subject, portrayed
from engine.run.benches.effects.images.sets import SETS, ImageSet
from engine.run.benches.effects.verdicts import verdict_of
from engine.run.folders.folder import write_atomically
from engine.synthesis import discover_methods
from engine.synthesis.base import Request

HELD_OUT = 1000  # real test images, for class statistics, peaks and divergences
REPEAT = "python -m engine bench effects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much is made of everything; by default a quarter of an hour of one idle core, or so."""

    images: int = 48
    steps: int = 80
    generator_steps: int = 200
    generator_batch: int = 24


def budget_of(chosen: Mapping[str, int]) -> Budget:
    """The default budget with these numbers changed; UserError where one is too small."""
    # Two batches of two images at least, and two to normalise a generator's batch by.
    least = {"images": 4, "steps": 1, "generator_steps": 1, "generator_batch": 2}
    for name, value in chosen.items():
        if value < least[name]:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} is {value}; give {least[name]} or more")
    return Budget(**chosen)


def subject_of(card: ModelCard) -> Subject:
    """The bundled network's teacher and images."""

    def images(local: LocalImages | None, most: int) -> tuple[Tensor, Tensor]:
        assert local is not None
        found = open_idx(
            ASSETS / local.images, ASSETS / local.labels, mean=card.mean, std=card.std,
            name=local.name,
        )  # fmt: skip
        assert found.labels is not None
        return found.first(most), found.labels[:most]

    return Subject(
        teacher=card.load(), image_shape=card.image_shape, mean=card.mean, std=card.std,
        classes=len(card.classes), real=images(card.calibration, 1024),
        held=images(card.test, HELD_OUT),
        other=discover_cards()[OTHER[card.name]].load() if card.name in OTHER else None,
    )  # fmt: skip


def effects(
    seeds: Sequence[int] = (0, 1, 2),
    *,
    out: Path | None = None,
    budget: Budget = Budget(),
    tell: Callable[[str], None] = lambda line: None,
    claims: Sequence[Claim] = CLAIMS,
    only: Sequence[str] = (),
    subjects: Mapping[str, Subject] | None = None,
) -> dict[str, Any]:
    """Measure every claim; the result is written to `out` too, claim by claim as they are done.

    With `only`, these claims alone, beside what `out` has of the others. `subjects` by name stand in for
    the bundled networks. UserError for a name in `only` that is none, or an `out` of other seeds or budget.
    """
    start, result = time.monotonic(), _heading(seeds, budget, claims)
    rows = _kept(out, result, [claim.name for claim in claims], only) if only else {}
    benches = {
        name: Workbench(subjects[name] if subjects else subject_of(discover_cards()[name]), budget)
        for name in dict.fromkeys(claim.network for claim in claims)
    }
    for claim in (one for one in claims if not only or one.name in only):
        rows[claim.name] = _measured(claim, benches[claim.network], seeds) | {"date": _now()}
        tell(
            f"{claim.name}: {verdict_of(rows[claim.name]).words} ({time.monotonic() - start:.0f} s)"
        )
        there = [rows[one.name] for one in claims if one.name in rows]
        result |= {"claims": there, "seconds": round(time.monotonic() - start)}
        if out is not None:
            write_atomically(out, (json.dumps(result, indent=1) + "\n").encode())
    return result


def _kept(
    out: Path | None, result: Mapping[str, Any], names: Sequence[str], only: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What the file has of the claims that are not measured now, each with its own date."""
    strange = [name for name in only if name not in names]
    if strange:
        raise UserError(f"--only {strange[0]!r} is no claim; choose of {', '.join(names)}")
    if out is None or not out.is_file():
        return {}
    before = json.loads(out.read_text())
    alike = ("seeds", "held_out", *(f.name for f in fields(Budget)))
    if any(before.get(name) != result[name] for name in alike):
        raise UserError(
            f"{out} is of other seeds or another budget ({before.get('command')}); repeat those, or "
            "give another --out"
        )
    return {row["name"]: {"date": before["date"]} | row for row in before["claims"]}


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())


def _heading(seeds: Sequence[int], budget: Budget, claims: Sequence[Claim]) -> dict[str, Any]:
    listed, usual = ",".join(map(str, seeds)), asdict(Budget())
    changed = {k: v for k, v in asdict(budget).items() if v != usual[k]}
    flags = "".join(f" --{name.replace('_', '-')} {value}" for name, value in changed.items())
    flags += " --data CIFAR10" if claims is ON_CIFAR else ""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {
        "date": _now(),
        "command": f"{REPEAT} --seeds {listed}{flags}",
        "seeds": list(seeds),
        **asdict(budget),
        "held_out": HELD_OUT,
        "threads": torch.get_num_threads(),
        "versions": versions,
    }


def _measured(claim: Claim, bench: "Workbench", seeds: Sequence[int]) -> dict[str, Any]:
    other = claim.baseline_metric or claim.metric
    sides = {
        "method": (claim.method, claim.metric),
        "baseline": (claim.baseline, other),
        "noise": ("noise", claim.metric),
        "real": ("real", claim.metric),
    }
    row = (
        asdict(claim)
        | claim.words()
        | claim.compared()
        | {
            "values": {
                side: [_plain(bench.value(name, metric, seed)) for seed in seeds]
                for side, (name, metric) in sides.items()
            },
        }
    )
    judged = verdict_of(row)
    return row | {"verdict": asdict(judged) | {"words": judged.words}}


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


class Workbench:
    """Makes sets of images with one teacher and measures them; each is made once for a seed."""

    def __init__(self, subject: Subject, budget: Budget) -> None:
        self.subject, self.budget = subject, budget
        self._made: dict[tuple[str, int], Made] = {}
        self._values: dict[tuple[str, int], dict[str, float | None]] = {}

    def value(self, name: str, metric: str, seed: int) -> float | None:
        """A number of the set of that name; None where it cannot be told."""
        known = self._values.setdefault((name, seed), {})
        if metric not in known:
            made = self.made(name, seed)
            known |= (
                METRICS[metric](self.subject, made)
                if metric in METRICS
                else portrayed(self.subject, made)
            )
        return known[metric]

    def made(self, name: str, seed: int) -> Made:
        """The set of that name, which is made if it is not there yet."""
        if (name, seed) not in self._made:
            images, labels = self._real(seed)
            if name == "real":
                count = self.budget.images
                self._made[name, seed] = Made(images[:count], labels[:count])
            else:
                self._made[name, seed] = self._make(SETS[name], seed, images, labels)
        return self._made[name, seed]

    def _real(self, seed: int) -> tuple[Tensor, Tensor]:
        """The real images that methods and controls may see, in an order of the seed's own."""
        images, labels = self.subject.real
        order = torch.randperm(len(images), generator=stream(seed, "effects", "real"))
        return images[order], labels[order]

    def _make(self, one: ImageSet, seed: int, real: Tensor, labels: Tensor) -> Made:
        method, subject, size = (
            discover_methods()[one.method],
            self.subject,
            self.budget.images // one.batches,
        )
        settings = method.Settings(**self.settings(one))
        memory: dict[str, Any] = {}
        parts: list[Made] = []
        for batch in range(one.batches):
            machine = method(
                Request(
                    teacher=subject.teacher, stored=subject.stored, settings=settings,
                    shape=(size, *subject.image_shape), rng=stream(seed, "effects", batch),
                    mean=subject.mean, std=subject.std, classes=subject.classes, batch=batch,
                    offset=batch * size, real=real, real_labels=labels, memory=memory,
                )
            )  # fmt: skip
            for _ in range(machine.total_steps):
                machine.step()
            memory = machine.remember()
            parts.append(Made(machine.images(), machine.labels()))
        shown = [part.labels for part in parts if part.labels is not None]
        return Made(torch.cat([part.images for part in parts]), torch.cat(shown) if shown else None)

    def settings(self, one: ImageSet) -> dict[str, Any]:
        """Every setting of the set's method: the quick preset at this budget, and what the set wants."""
        settings: Any = discover_methods()[one.method].Settings
        budget = self.budget
        own = {knob["name"]: knob["presets"]["quick"] for knob in describe(settings)}
        steps = budget.generator_steps if one.generator else budget.steps
        batch = budget.generator_batch if one.generator else budget.images // one.batches
        wanted = {"steps": steps, "batch": batch} | dict(one.settings)
        known = {f.name for f in fields(settings)}
        return own | {name: value for name, value in wanted.items() if name in known}
