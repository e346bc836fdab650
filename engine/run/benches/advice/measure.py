"""What the doctor predicted beside what its changes gained: each run for real, on bundled networks.

A run at bits that hurt is made, the doctor is asked, and what it proposes is tried, one change at a time. Its
predictions are made on few images of those that the run was judged on; what was gained is measured on all.
"""

import json
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from engine.run import new_recipe
from engine.run.benches.advice.file import tried_of
from engine.run.folders.folder import write_atomically
from engine.run.questions.doctor import answers, scoreboard

CALIBRATION = 32  # images of a run: real ones, as where they come from makes no difference here
CHANGES = 6  # tried of each run
STEPS = 100  # of a block that learns


class Subject(NamedTuple):
    """A run to ask the doctor about."""

    model: str
    quantization: str
    weight_bits: int
    activation_bits: int
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def bits(self) -> str:
        return f"W{self.weight_bits}A{self.activation_bits}"


SUBJECTS = (
    Subject("mobilenet-fashion", "nearest", 3, 3),
    Subject("resnet20-fashion", "nearest", 2, 4),
    Subject("preact-fashion", "nearest", 3, 3),
    Subject("repvgg-fashion", "nearest", 2, 4),
    Subject("vgg-fashion", "nearest", 2, 4),
    Subject("vit-fashion", "nearest", 3, 4),
    Subject("resnet20-fashion", "genie-m", 2, 3, {"steps": STEPS}),
    Subject("mobilenet-fashion", "genie-m", 2, 4, {"steps": STEPS}),
    # Ranges that fit badly, as other tools leave them: what the rules about ranges are for.
    Subject(
        "mobilenet-fashion", "nearest", 4, 4, {"activation_range": "percentile", "percentile": 97.0}
    ),
    Subject("resnet20-fashion", "nearest", 4, 3, {"activation_range": "min-max"}),
    Subject("vgg-fashion", "nearest", 3, 4, {"weight_range": "min-max"}),
)
Gains = dict[str, Any]


def advice(runs: Path, out: Path, tell: Callable[[str], None]) -> Gains:
    """Of every change the predicted and the measured share of the loss that goes away, with the run's losses.

    The file `out` is written anew after every run; begun again, what was finished is found among the runs.
    The runs lie in a folder of their own, so that the scoreboard of the user's runs is not touched.
    """
    result: Gains = {
        "command": "python -m engine bench advice",
        "images": {"calibration": CALIBRATION},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "runs": [],
    }
    for subject in SUBJECTS:
        result["runs"].append(_of(subject, runs / "advice", tell))
        result["date"] = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        write_atomically(out, (json.dumps(result, indent=1) + "\n").encode())
        tell(
            f"{subject.model} {subject.quantization} {subject.bits}: {len(tried_of(result))} tried"
        )
    return result


def _of(subject: Subject, runs: Path, tell: Callable[[str], None]) -> Gains:
    """One run, and what came of the changes that the doctor proposed for it."""
    recipe = new_recipe(
        model=subject.model, synthesis="real", quantization=subject.quantization, preset="quick",
        weight_bits=subject.weight_bits, activation_bits=subject.activation_bits, images=CALIBRATION,
        quantization_settings=dict(subject.settings),
    )  # fmt: skip
    folder = answers.run_to_end(recipe, runs)
    found, before = answers.doctor(folder), folder.result() or {}
    tried = []
    for finding in chosen(found["findings"]):
        tell(f"{subject.model} {subject.bits}: to {finding['change']['words']}")
        row = answers.begin(folder, finding, answers.run_to_end)
        answers.settle(runs)
        measured = next((one for one in scoreboard.rows(runs) if _is(one, row)), None)
        if measured is not None:
            tried.append(shares(finding, measured, found["loss"]["value"], before["logit_kl"]))
    return {
        "model": subject.model, "quantization": subject.quantization, "bits": subject.bits,
        "settings": dict(subject.settings),
        "float_top1": before["fp32_top1"], "top1": before["quantized_top1"],
        "kl": {"all": before["logit_kl"], "seen": found["loss"]["value"]},
        "test_images": before["test_images"], "seen": found["loss"]["images"], "tried": tried,
    }  # fmt: skip


def chosen(findings: list[Gains]) -> list[Gains]:
    """Those to try: with a change whose gain is predicted in nats; one of each rule before a second of any.

    Two findings that ask for the same change are one.
    """
    able, seen = [], set()
    for one in findings:
        if one["change"] is None or one["unit"] != "KL" or one["band"] is None:
            continue
        if one["predicted_gain"] is None or one["change"]["words"] in seen:
            continue
        seen.add(one["change"]["words"])
        able.append(one)
    first = {one["rule"]: one for one in reversed(able)}
    head = [one for one in able if first[one["rule"]] is one]
    return [*head, *(one for one in able if first[one["rule"]] is not one)][:CHANGES]


def shares(finding: Gains, measured: Mapping[str, Any], seen: float, whole: float) -> Gains:
    """A change in the file's words: gains in nats over the loss of the same images, `seen` or `whole`."""
    low, high = finding["band"]
    return {
        "rule": finding["rule"], "layer": finding["layer"], "severity": finding["severity"],
        "change": finding["change"]["words"], "run": measured["run"], "unit": "share of the KL",
        "predicted": finding["predicted_gain"] / seen, "low": low / seen, "high": high / seen,
        "measured": measured["measured_gain"] / whole,
    }  # fmt: skip


def _is(row: Mapping[str, Any], begun: Mapping[str, Any]) -> bool:
    return all(row[name] == begun[name] for name in ("of", "rule", "layer", "change"))
