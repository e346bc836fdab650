"""Time to quality: how long until the accuracy that the published loops reach with their full budget.

The published loops (GENIE-D, then GENIE-M with the rates as released) and the engine's own recipe make images
and a student of two-bit weights; the engine also in smaller parts of the budget. Of those parts the smallest
counts whose accuracy, as a mean over the seeds, is no lower. Images and student apart, judging left out.
"""

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from engine.core.percent import percent
from engine.models.cards.sources import listed_card
from engine.run.benches.speed.apart import apart, machine
from engine.run.benches.speed.end_to_end import one_run
from engine.run.benches.speed.plain.whole import Budget, plain_run
from engine.run.context import test_images
from engine.run.recipes.recipe import Recipe

MODEL = "resnet20-fashion"
BITS = (2, 4)
FULL = Budget(images=128, steps=160, block_steps=120)  # the preset `quick`
PARTS = (1.0, 0.5, 0.25, 0.125)
PUBLISHED = "published loops"


class Outcome(NamedTuple):
    """Of one seed: seconds of the clock, and the student's accuracy."""

    images_s: float
    student_s: float
    top1: float

    @property
    def whole_s(self) -> float:
        """Both together."""
        return self.images_s + self.student_s


def measured(seeds: int | None, tell: Callable[[str], None]) -> Any:
    """A row for the published loops, one for each part of the budget, and the time to quality."""
    told = machine(torch.get_num_threads())
    plain, own = [], {part: list[Outcome]() for part in PARTS}
    for seed in range(seeds or 3):
        tell(f"{MODEL}, seed {seed}: {PUBLISHED}")
        plain.append(apart(_plain, seed))
        for part in PARTS:
            tell(f"{MODEL}, seed {seed}: the engine, {percent(part)} of the steps")
            own[part].append(_own(part, seed))
    rows = [_row(f"{PUBLISHED}, {_steps(1.0)}", plain, None)]
    rows += [_row(f"{MODEL}, {_steps(part)}", found, plain) for part, found in own.items()]
    best = reached(plain, own)
    if best is not None:
        rows.append(_row("until the published loops' accuracy", own[best], plain))
    return {"machine": told, "rows": rows}


def reached(plain: list[Outcome], own: dict[float, list[Outcome]]) -> float | None:
    """The smallest part of the budget that is as accurate, as a mean over seeds; None where none is."""
    wanted = statistics.mean(one.top1 for one in plain)
    enough = [p for p, found in own.items() if statistics.mean(o.top1 for o in found) >= wanted]
    return min(enough, default=None)


def _steps(part: float) -> str:
    return f"{round(part * FULL.steps)} + {round(part * FULL.block_steps)} steps"


def _row(work: str, found: list[Outcome], over: list[Outcome] | None) -> dict[str, Any]:
    top1 = statistics.mean(one.top1 for one in found)
    row: dict[str, Any] = {
        "work": f"{work}: {percent(top1, 2)}", "top1": [one.top1 for one in found],
        "wall_s": statistics.median(one.whole_s for one in found),
        "images_s": statistics.median(one.images_s for one in found),
        "student_s": statistics.median(one.student_s for one in found),
    }  # fmt: skip
    if over:
        ratios = sorted(a.whole_s / b.whole_s for a, b in zip(found, over, strict=True))
        row["over"] = PUBLISHED
        row["wall"] = {"median": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]}
    return row


def _own(part: float, seed: int) -> Outcome:
    steps, block_steps = round(part * FULL.steps), round(part * FULL.block_steps)
    wanted = ["--preset", "quick", "--seed", str(seed), "--images", str(FULL.images)]
    wanted += ["--set", f"synthesis.steps={steps}", "--set", f"quantization.steps={block_steps}"]
    found = one_run(wanted, BITS)
    seconds = {row["work"]: row["wall_s"] for row in found["rows"]}
    return Outcome(seconds["of it images"], seconds["of it codes"], found["top1"])


def _plain(seed: int) -> Outcome:
    found = plain_run(MODEL, FULL, BITS, seed)
    return Outcome(found.images_s, found.student_s, _accuracy(found.student))


@torch.no_grad()
def _accuracy(student: nn.Module) -> float:
    card = listed_card(MODEL, {})
    images, _ = test_images(card, Recipe(model=MODEL, synthesis="genie", quantization="genie-m"), 0)
    assert images is not None
    assert images.labels is not None
    answers = torch.cat([student(batch).argmax(1) for batch in images.batches(250)])
    return float((answers == images.labels).float().mean())
