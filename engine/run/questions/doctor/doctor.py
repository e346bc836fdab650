"""From a finished run to findings in order: gather, look, try out in memory, rank. Imports torch."""

import math
import re
from dataclasses import replace
from typing import Any

import torch

from engine.analysis.doctor.finding import Finding
from engine.analysis.doctor.ranking import findings_of, ranked, weighed
from engine.analysis.doctor.record import SICK, Loss, RunRecord
from engine.analysis.doctor.rules.outcome.not_finite import NotFinite
from engine.core.events import RunFailed
from engine.run.folders.folder import RunFolder
from engine.run.questions.doctor.gather import failed_record, record_of
from engine.run.questions.doctor.losses import Losses
from engine.run.questions.doctor.predict import Predictor
from engine.run.questions.why.opened import Tell, open_run, tell_nobody

IMAGES = 256  # of those that the run was judged on
MOST = 20  # findings: what comes behind gains next to nothing
_BROKEN = re.compile(r"not finite|is (nan|inf)|-inf")
_LAYER = re.compile(r"first layer with such values is '([^']+)'")


@torch.no_grad()
def doctor(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """What is wrong with a finished run and what to change, what gains most first.

    {"run", "loss": {"value", "unit", "images", "agreement"}, "findings": [{"rule", "title", "source",
    "layer", "cause", "severity", "evidence", "change", "predicted_gain", "band", "unit"}], "sentence",
    "notes"}. Gains are the loss less that with the change, tried out in memory on the
    same images: "KL" in nats, "top1" in shares, else decibels; `band` is the 95 % band over the images.
    A run that broke on values that are no numbers has that one finding; UserError in one line for any other
    without a student.
    """
    broken = _broken(folder)
    if broken is not None:
        return _answer(broken, NotFinite().find(broken), [])
    run = open_run(folder, IMAGES)
    losses = Losses(run)
    record = record_of(folder, run, losses, tell)
    predictor = Predictor(run, losses, learns=record.learns)
    if record.learns:
        tell(0, 1, "the same bits, rounded to nearest")
        less = losses.gain(predictor.nearest)
        record = replace(record, nearest_gain=less.value, nearest_band=less.band)
    found = findings_of(record)[: 2 * MOST]
    predicted = []
    for done, finding in enumerate(found):
        tell(done, len(found), f"what would be gained: {finding.title}")
        predicted.append(weighed(predictor.of(finding), record.loss))
    result = folder.result() or {}
    notes = [result["other_engine"]] if "other_engine" in result else []
    return _answer(record, ranked(predicted, record.loss)[:MOST], notes)


def _broken(folder: RunFolder) -> RunRecord | None:
    """The record of a run that ended on values that are no numbers; else None."""
    if folder.result() is not None:
        return None
    failures = [event for _, event in folder.events() if isinstance(event, RunFailed)]
    if not failures or not _BROKEN.search(failures[-1].message):
        return None
    named = _LAYER.search(failures[-1].message)
    return failed_record(folder, failures[-1].message, named[1] if named else "")


def _answer(record: RunRecord, findings: list[Finding], notes: list[str]) -> dict[str, Any]:
    loss = record.loss
    return {
        "run": record.run,
        "loss": {
            "value": loss.value if math.isfinite(loss.value) else None,
            "unit": loss.unit, "images": loss.images, "agreement": loss.agreement,
        },
        "findings": [one.plain() for one in findings],
        "sentence": _sentence(findings, loss),
        "notes": notes,
    }  # fmt: skip


def _sentence(findings: list[Finding], loss: Loss) -> str:
    bad = [one for one in findings if one.severity == "red"]
    if bad:
        where = f" at {bad[0].layer}" if bad[0].layer else ""
        way = f"; try: {_way(bad[:1])}" if _way(bad[:1]) else ""
        return f"{bad[0].title}{where}: look at this first{way}."
    some = sum(one.severity == "yellow" for one in findings)
    if some and loss.value >= SICK[loss.unit]:
        way = _way(findings) or "more bits"
        return f"Much is lost, {loss.words}, by no single cause alone; try first: {way}."
    worth = len(_able([one for one in findings if one.severity == "yellow"]))
    if worth:
        many = "s" if worth > 1 else ""
        return f"Nothing is badly wrong; {worth} finding{many} may be worth a try."
    if some:
        many, them = ("s", "them") if some > 1 else ("", "it")
        return f"Nothing is badly wrong; {some} finding{many}, and no change for {them} is predicted to help."
    return "Nothing is wrong that a rule here could see."


def _way(findings: list[Finding]) -> str:
    """The first change that is not known to gain nothing, in words; "" where there is none."""
    return next((one.change.words for one in _able(findings) if one.change), "")


def _able(findings: list[Finding]) -> list[Finding]:
    """Those with a change that is not known to gain nothing, or to harm."""
    return [
        one
        for one in findings
        if one.change is not None and (one.predicted_gain is None or one.predicted_gain > 0)
    ]
