"""The benches of whole runs, of estimates and of pages: what they tell, from what they saw."""

import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from app.page_times import PAGES
from engine.core.events import RunStarted
from engine.run.benches.speed import end_to_end, estimates, rows
from engine.run.benches.speed.interleaved import Sample
from engine.run.benches.speed.processes import timed_command
from engine.run.folders.folder import RunFolder
from engine.run.machine.resources import peak_memory_mb
from engine.run.recipes.recipe import Recipe

ROOT = Path(__file__).parents[3]


def test_a_command_is_timed_with_what_it_prints_and_begins():
    inner = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.4: pass"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]); print(7)"
    took, printed = timed_command([sys.executable, "-c", outer])
    assert printed.strip() == "7"
    assert took.cpu > 0.2  # the inner one's four tenths, as it was last seen


def test_a_process_does_not_inherit_the_peak_of_who_began_it():
    held = bytearray(200_000_000)
    script = "from engine.run.machine.resources import peak_memory_mb; print(peak_memory_mb())"
    _, printed = timed_command([sys.executable, "-c", script])
    assert float(printed) < 200 < peak_memory_mb()
    del held


def test_the_time_of_a_run_is_told_by_its_parts(monkeypatch):
    seconds = {"synthesis": 5.0, "quantization": 3.0, "evaluation": 2.0}

    def run(command):
        runs = Path(command[command.index("--runs") + 1])
        recipe = Recipe(model="resnet20-fashion", synthesis="genie", quantization="quantoscope")
        folder = RunFolder.create(runs, recipe)
        now = time.time()
        folder.write_status("done", asked_s=now - 2.5)
        started = RunStarted(
            time_s=now, device="", threads=1, versions={}, bn_layers=[], blocks=[], layers=[]
        )
        folder.append(started)
        result = {
            "run": folder.run_id, "seconds": seconds, "peak_memory_mb": 900.0, "images": 128,
            "quantized_top1": 0.94,
        }  # fmt: skip
        return Sample(20.0, 12.0), f"{json.dumps(result)}\n"

    monkeypatch.setattr(end_to_end, "timed_command", run)
    found = end_to_end.measured(None, lambda _: None)
    told = {row["work"]: row["wall_s"] for row in found["rows"]}
    assert told == {
        "command to accuracy": 12.0, "of it starting": 2.0, "of it images": 5.0, "of it codes": 3.0,
        "of it judging": 2.0, "until the worker's first event": pytest.approx(2.5),
    }  # fmt: skip
    assert found["top1"] == 0.94
    assert rows.cells("end-to-end", found)[0][-1] == "45 s: met"
    assert "94.00\u00a0% top-1" in rows.head(found | {"command": "c"})


def test_estimates_are_counted_by_how_far_off_they_are():
    pairs = [(10.0, 10.0), (14.9, 10.0), (15.1, 10.0), (6.6, 10.0), (20.0, 10.0)]
    seen = [
        {"said_s": said, "cpu_s": true, "said_mb": 2 * true, "peak_mb": 2 * true}
        for said, true in pairs
    ]
    seen.append({"said_s": 1.0, "cpu_s": 1.0, "said_mb": 1.0, "peak_mb": None})  # it failed
    found = estimates.summary(seen)
    assert found["time"] == {"within": 2, "of": 6, "median": 1.49}
    assert found["memory"] == {"within": 5, "of": 6, "median": 1.0}
    told = {"command": "c", "machine": {
        "date": "d", "processor": "p", "cores": 2, "threads": 1, "load": None,
    }}  # fmt: skip
    assert "time: 2 of 6 estimates within 1.5 times" in rows.head(told | found)


def test_estimates_are_held_against_thirty_recipes_on_eight_networks():
    counted = Counter(case.model for case in estimates.cases())
    assert counted.total() >= 30
    assert len(counted) == 8
    assert len(set(map(str, estimates.cases()))) == counted.total()


def test_every_page_is_drawn():
    views = {file.stem for file in (ROOT / "app" / "views").glob("*.py")}
    assert {view for view, _ in PAGES.values()} == views - {"__init__"}
