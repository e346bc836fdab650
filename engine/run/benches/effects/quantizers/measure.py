"""Measures the claims of claims.py beside this file: `python -m engine bench quantizers`.

Every student comes of a real run; those of one network and seed learn from the same images, which are made
once. What was finished is found among the runs, so that a measurement that was ended goes on.
"""

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine.core.errors import UserError
from engine.data.idx import read_idx
from engine.models.card import ASSETS, LocalImages
from engine.models.cards.sources import discover_cards
from engine.run import new_recipe
from engine.run.benches.effects.quantizers.claim import METRICS, QuantizerClaim
from engine.run.benches.effects.quantizers.claims import QUANTIZER_CLAIMS
from engine.run.benches.effects.quantizers.matching import Match, nearest
from engine.run.benches.effects.quantizers.numbers_of_runs import NUMBERS
from engine.run.benches.effects.quantizers.setup import IMAGES, Setup
from engine.run.benches.effects.verdicts import verdict_of
from engine.run.benches.image_files import write_images, write_table
from engine.run.folders.folder import write_atomically
from engine.run.folders.tail import follow
from engine.run.recipes.recipe import Recipe
from engine.run.workers.launch import start

HELD_OUT = 2000  # real test images to judge on
MOST_BITS = 8  # of a recipe: what is said of more, the settings do
REPEAT = "python -m engine bench quantizers"


def quantizers(
    runs: Path,
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    only: Sequence[str] = (),
    data: str = "",
    tell: Callable[[str], None] = lambda line: None,
    claims: Sequence[QuantizerClaim] = QUANTIZER_CLAIMS,
) -> dict[str, Any]:
    """Measure every claim; the result is written to `out`, claim by claim as they are done.

    With `only`, these alone, beside what `out` has of the others. UserError for a name that is no claim, or
    an `out` of other seeds. `data`: a folder of images for networks that have none to be judged on; without
    it their claims are left out.
    """
    strange = [name for name in only if name not in {claim.name for claim in claims}]
    if strange:
        names = ", ".join(claim.name for claim in claims)
        raise UserError(f"--only {strange[0]!r} is no claim; choose of {names}")
    result, rows = _heading(seeds), _kept(out, seeds) if only else {}
    for claim in _measurable(claims, only, data, tell):
        rows[claim.name] = row_of(claim, runs, seeds, data) | {"date": _now()}
        tell(f"{claim.name}: {verdict_of(rows[claim.name]).words}")
        there = [rows[one.name] for one in claims if one.name in rows]
        write_atomically(out, (json.dumps(result | {"claims": there}, indent=1) + "\n").encode())
    return result | {"claims": [rows[one.name] for one in claims if one.name in rows]}


def _measurable(
    claims: Sequence[QuantizerClaim], only: Sequence[str], data: str, tell: Callable[[str], None]
) -> list[QuantizerClaim]:
    """Those asked for whose images are there; UserError where one was named and they are not."""
    found = [one for one in claims if not only or one.name in only]
    lacking = [one for one in found if one.needs and not data]
    for one in lacking:
        what = f"{one.name} is judged on images of {one.needs}"
        if only:
            raise UserError(f"{what}; give their folder with --data FOLDER")
        tell(f"{what}, and left out (--data FOLDER)")
    return [one for one in found if one not in lacking]


def row_of(
    claim: QuantizerClaim, runs: Path, seeds: Sequence[int], data: str = ""
) -> dict[str, Any]:
    """The claim with the numbers of both sides, seed by seed, and what they say."""
    keys = {
        "method": METRICS[claim.metric][0],
        "baseline": METRICS[claim.against or claim.metric][0],
    }
    both = {side: replace(one, data=data if one.needs else "") for side, one in claim.sides.items()}
    sides = {side: [one] * len(seeds) for side, one in both.items()}
    alike: dict[str, Any] = {}
    if claim.match is not None:
        sides["baseline"], alike = _made_alike(both, claim.match, runs, seeds)
    values = {
        side: [value_of(one, runs, seed, keys[side]) for one, seed in zip(ones, seeds, strict=True)]
        for side, ones in sides.items()
    }
    unknown: list[float | None] = [None] * len(seeds)  # neither control belongs to a quantizer
    values |= {"noise": unknown, "real": unknown}
    row = asdict(claim) | claim.words() | claim.compared() | {"values": values} | alike
    if claim.needs:
        judged_on = value_of(both["method"], runs, seeds[0], "test-images")
        row |= {"images": both["method"].images, "held_out": judged_on}
    judged = verdict_of(row)
    return row | {"verdict": asdict(judged) | {"words": judged.words}}


def _made_alike(
    sides: Mapping[str, Setup], match: Match, runs: Path, seeds: Sequence[int]
) -> tuple[list[Setup], dict[str, Any]]:
    """The control of each seed, made alike in a number, and of both sides what that number is."""
    method, control = sides["method"], sides["baseline"]
    controls: list[Setup] = []
    told: dict[str, list[float]] = {"method": [], "baseline": [], match.setting: []}

    def with_setting(value: float) -> Setup:
        return replace(control, settings={**control.settings, match.setting: value})

    def number(one: Setup, seed: int) -> float:
        found = value_of(one, runs, seed, match.number)
        assert found is not None
        return found

    def number_at(seed: int, value: float) -> float:
        return number(with_setting(value), seed)

    for seed in seeds:
        wanted, before = number(method, seed), told[match.setting]
        found = nearest(wanted, partial(number_at, seed), match, before[-1] if before else None)
        controls.append(with_setting(found.value))
        for name, one in zip(told, (wanted, found.number, found.value), strict=True):
            told[name].append(one)
    return controls, {"alike": told}


def value_of(one: Setup, runs: Path, seed: int, key: str) -> float | None:
    """That number of the setup's result, or asked of its run; the run is made if it is not there yet."""
    folder = start(recipe_of(one, runs, seed), runs)
    for _ in follow(folder):
        pass
    result = folder.result()
    if result is None:
        raise UserError(
            f"run {folder.run_id} did not finish; its worker.log in {folder.path} says why"
        )
    value = NUMBERS[key](folder) if key in NUMBERS else result.get(key)
    return None if value is None else float(f"{value:.6g}")


def recipe_of(one: Setup, runs: Path, seed: int) -> Recipe:
    """What the setup's run is asked for."""
    return new_recipe(
        runs=runs, preset="quick", model=one.network, model_settings=dict(one.network_settings),
        data=one.data or held_out(one.network, runs / "held-out"), synthesis=one.synthesis,
        images=one.images, seed=seed, quantization=one.quantization, quantization_settings=dict(one.settings),
        weight_bits=one.weight_bits, activation_bits=min(one.activation_bits, MOST_BITS),
    )  # fmt: skip


def held_out(network: str, folder: Path) -> str:
    """A folder of the first of the bundled network's test images, with their labels.

    Empty where they have none: such a network is judged on all that come with it.
    """
    test = discover_cards()[network].test
    if not isinstance(test, LocalImages) or not test.labels:
        return ""
    mine = folder / Path(test.images).parent.name
    if not (mine / "labels.csv").is_file():
        pixels, labels = (read_idx(ASSETS / part)[:HELD_OUT] for part in (test.images, test.labels))
        write_table(mine, write_images(mine, pixels, labels.tolist()))
    return str(mine)


def _kept(out: Path, seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """What the file has of the claims that are not measured now."""
    if not out.is_file():
        return {}
    before: Mapping[str, Any] = json.loads(out.read_text())
    if before.get("seeds") != list(seeds):
        raise UserError(
            f"{out} is of the seeds {before.get('seeds')}; repeat those, or give another --out"
        )
    return {row["name"]: row for row in before["claims"]}


def _heading(seeds: Sequence[int]) -> dict[str, Any]:
    return {
        "date": _now(),
        "command": f"{REPEAT} --seeds {','.join(map(str, seeds))}",
        "seeds": list(seeds),
        "images": IMAGES,
        "steps": "quick",
        "held_out": HELD_OUT,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())
