"""Kill a real worker again and again, and see that nothing is lost: `python -m tests.kills --count 300`.

A worker of a small run is killed (SIGKILL) at a random instant, or in the midst of writing a checkpoint, a
snapshot or a finished part; sometimes again while it comes back; then resumed. When the run is done, its
events and its numbers are held against those of a run that nobody disturbed.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from engine.core.events import Event
from engine.run.folders.control import Wish, write_wish
from engine.run.folders.folder import RunFolder
from engine.run.machine.environment import worker_environment
from engine.run.recipes.recipe import Recipe
from tests.few_images import few_images

ROOT = Path(__file__).parents[1]
PATIENCE_S = 300.0
CHECKPOINT_EVERY_S = 0.1  # so that many kills meet one
# What is being written when the worker is killed: files beside their place, or the pictures themselves.
MOMENTS = {
    "at any instant": "",
    "in a checkpoint": ".checkpoint*",
    "in images": ".images-*",
    "in a block": "blocks/.*",
    "in a snapshot": "snapshots/*",
    "in a status": ".status.json.*",
}
NOT_COMPARED = ("time_s", "seconds", "steps_per_s", "eta_s", "memory_mb", "resumed", "engine")
NUMBERS = ("agreement", "logit_kl", "layers", "bn_gap", "size_bytes", "fp32_top1", "quantized_top1")


def recipe(seed: int, data: Path) -> Recipe:
    """Two batches of images, eleven blocks, judged on the images of a folder: some seconds of work."""
    return Recipe(
        model="resnet20-fashion", synthesis="genie", quantization="genie-m", images=8, seed=seed,
        synthesis_settings={"steps": 24, "batch": 4}, quantization_settings={"steps": 6, "batch": 4},
        data=str(data),
    )  # fmt: skip


def work(path: str) -> int:
    """What a worker does, with a checkpoint every moment and every step reported."""
    from engine.run import step_loop
    from engine.run.workers import worker

    step_loop.CHECKPOINT_EVERY_S = CHECKPOINT_EVERY_S
    step_loop.CHECKPOINT_SHARE = 1.0
    step_loop.Thinned.is_due = lambda self: True  # type: ignore[method-assign]
    sys.argv[1:] = [path]
    return worker.main()


def start(folder: RunFolder) -> subprocess.Popen[bytes]:
    write_wish(folder.path, Wish())
    environment = worker_environment() | {"QUANTOSCOPE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with (folder.path / "worker.log").open("ab") as log:
        words = [sys.executable, "-m", "tests.kills", "--worker", str(folder.path)]
        return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, env=environment)


def undisturbed(runs: Path, wanted: Recipe) -> tuple[RunFolder, float]:
    """A run that nobody kills, and the seconds that it took."""
    begun = time.monotonic()
    folder = RunFolder.create(runs, wanted)
    assert start(folder).wait(PATIENCE_S) == 0
    return folder, time.monotonic() - begun


def kill(worker: subprocess.Popen[bytes], folder: RunFolder, moment: str, seconds: float) -> bool:
    """Kill it at the moment, or after so many seconds; whether it was still alive then."""
    end, pattern = time.monotonic() + seconds, MOMENTS[moment]
    before = set(folder.path.glob(pattern)) if pattern else set()
    while worker.poll() is None and time.monotonic() < end:
        if pattern and set(folder.path.glob(pattern)) - before:
            break
        time.sleep(0 if pattern else 0.002)
    alive = worker.poll() is None
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    return alive


def disturbed(
    runs: Path, wanted: Recipe, long: float, rng: random.Random, most: int, met: Counter[str]
) -> list[str]:
    """Run once with up to so many kills; what went wrong. Undisturbed, it takes `long` seconds."""
    folder, kept, wrong = RunFolder.create(runs, wanted), b"", []
    left = min(most, rng.randint(1, 12))
    while True:
        worker = start(folder)
        if not left:
            code = worker.wait(PATIENCE_S)
            wrong += [f"ended with {code}"] if code else []
            break
        moment = rng.choice(list(MOMENTS))
        # In a row: the worker that comes back is met before it has done anything.
        soon = rng.random() < 0.25
        if not kill(
            worker, folder, moment, long * (rng.uniform(0, 0.3) if soon else rng.uniform(0.3, 0.9))
        ):
            break
        met[moment] += 1
        left -= 1
        written = folder.events_file.read_bytes() if folder.events_file.exists() else b""
        if not written.startswith(kept):
            wrong.append(f"events were lost by a kill {moment}")
        kept = written[: written.rfind(b"\n") + 1]
    if folder.events_file.read_bytes()[: len(kept)] != kept:
        wrong.append("events were lost at the end")
    return wrong


def compare(straight: RunFolder, folder: RunFolder) -> list[str]:
    """What differs from the run that nobody disturbed."""
    wanted, got = straight.result() or {}, folder.result() or {}
    wrong = [f"{name} differs" for name in NUMBERS if wanted.get(name) != got.get(name)]
    mine = {_told(event) for _, event in folder.events()}
    lost = [event for _, event in straight.events() if _told(event) not in mine]
    wrong += (
        [f"{len(lost)} events are missing, the first: {lost[0].to_json()[:200]}"] if lost else []
    )
    left = [file.name for file in folder.path.rglob("*.damaged")]
    return wrong + ([f"set aside: {left}"] if left else [])


def _told(event: Event) -> str:
    """An event without what depends on the clock, the machine or the folder."""
    content = {"kind": event.kind, **json.loads(event.to_json())}
    if event.kind in ("run-finished", "run-started"):
        content.pop("result", None)
    return json.dumps(_plain(content), sort_keys=True)


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _plain(v) for k, v in content.items() if k not in NOT_COMPARED}
    return content


def main(arguments: list[str] | None = None) -> int:
    """Kill so many times, print the figures; 0 where nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300, help="kills")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        return work(options.worker)
    rng, met, wrong = random.Random(options.seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as place:
        wanted = recipe(0, few_images(Path(place) / "images"))
        straight, long = undisturbed(Path(place) / "straight", wanted)
        runs = 0
        while met.total() < options.count:
            runs += 1
            broken = Path(place) / f"broken-{runs}"
            found = disturbed(broken, wanted, long, rng, options.count - met.total(), met)
            found += compare(straight, RunFolder(broken / straight.run_id))
            wrong += [f"run {runs}: {what}" for what in found]
            shutil.rmtree(broken)
            print(f"{met.total()} kills in {runs} runs, {len(wrong)} wrong", flush=True)
    for moment, count in met.most_common():
        print(f"  {count} {moment}")
    print("\n".join(wrong) or "no event was lost, and every published number is the same")
    return int(bool(wrong))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
