"""Where every layer's error comes from in a finished run, and what to do first. Imports torch."""

from collections.abc import Sequence
from typing import Any

import torch

from engine.analysis.layers.provenance import Shares, error_parts
from engine.analysis.layers.reading import sentence, verdict
from engine.core.events import LayerMeasured
from engine.run.folders.folder import RunFolder
from engine.run.questions.why.opened import Opened, Tell, open_run, tell_nobody
from engine.run.questions.why.origins import FEW, origins
from engine.run.questions.why.passes import at_once, reads, without_grid

IMAGES = 64  # SQNR and shares are ratios of sums over millions of values


def explain(folder: RunFolder, tell: Tell = tell_nobody) -> dict[str, Any]:
    """The error of every layer's output against the teacher's, split by where it comes from.

    {"run", "images", "image_set", "layers": [{"path", "block", "sqnr_local_db", "sqnr_accumulated_db",
    "share": {"weights", "activations", "inherited", "interaction"} or None without error, "origin",
    "origin_gain", "verdict"}], "sentence", "notes"}. Parts as in `engine.analysis.layers.provenance`, on
    the images that the run was judged on; `sqnr_local_db` is what the run itself measured (None where it is
    lost); `origin` is the earlier layer that takes most of the error away when it alone is in float, measured
    on a few of the images, and `origin_gain` the share that it takes; "" and 0 where none does. UserError in
    one line where the run has no student.
    """
    run = open_run(folder, IMAGES)
    local = {
        event.path: event.values.get("sqnr_local_db")
        for _, event in folder.events()
        if isinstance(event, LayerMeasured)
    }
    shares = measured_shares(run, list(run.plan), tell)
    rows: dict[str, dict[str, Any]] = {
        path: {
            "path": path,
            "block": run.plan[path].block,
            "sqnr_local_db": local.get(path),
            "sqnr_accumulated_db": its.sqnr_db(),
            "share": its.values(),
        }
        for path, its in shares.items()
    }
    found = origins(run, run.test[:FEW], tell)
    for path, row in rows.items():
        row["origin"], row["origin_gain"] = found[path]
        row["verdict"] = verdict(row)
    result = folder.result() or {}
    return {
        "run": folder.run_id,
        "images": len(run.test),
        "image_set": run.test_set,
        "layers": list(rows.values()),
        "sentence": sentence(list(rows.values())),
        "notes": [result["other_engine"]] if "other_engine" in result else [],
    }


@torch.no_grad()
def measured_shares(
    run: Opened, paths: Sequence[str], tell: Tell = tell_nobody
) -> dict[str, Shares]:
    """Each layer's shares over all images that the run was judged on, in order of execution."""
    found = {path: Shares() for path in paths}
    chunks = run.test.split(at_once(run.test))
    for done, chunk in enumerate(chunks):
        tell(done, len(chunks), "images through both networks")
        for path, calls in reads(run, run.context.for_device(chunk), paths).items():
            teacher = run.teacher.get_submodule(path)
            with without_grid(run.student.get_submodule(path)) as student:
                for read in calls:
                    error, parts = error_parts(teacher, student, *read)
                    found[path].add(teacher(read.teacher), error, parts)
    return found
