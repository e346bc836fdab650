"""No run brings the machine down: it is refused or split before, and ends with its own words during."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.core.events import Noted, RunFailed
from engine.run.folders.control import Control
from engine.run.machine import resources
from engine.run.machine.memory_limit import Room
from engine.run.stages.memory import check
from engine.run.stages.memory.check import make_room
from engine.run.stages.memory.counting import count, saved_mb
from engine.run.workers import worker
from tests.run.toy_runs import RECIPE, assert_same, begun, of, only_the_toy, work

ROOT = Path(__file__).parents[3]


@pytest.fixture
def toy(monkeypatch, tmp_path):
    only_the_toy(monkeypatch, tmp_path)


def free(monkeypatch, mb):
    """As if so much were free: a small figure stands for a small machine."""
    monkeypatch.setattr("engine.run.machine.memory_limit.free_memory_mb", lambda: mb)


def need_mb(folder, there_mb=1e6):
    """What the run is expected to grow by; UserError where that is more than there is."""
    from engine.run.context import make_context

    context = make_context(folder.recipe, folder, Control(folder.path), torch.device("cpu"))
    room = Room()
    room.limit_mb = resources.memory_mb() + there_mb
    before = resources.memory_mb()
    list(make_room(context, room, images_there=False))
    return room.expected_mb - before


class TestBefore:
    @pytest.mark.parametrize("share", [0.25, 0.5])
    def test_a_run_of_four_times_the_memory_that_is_free_is_refused_with_the_way_out(
        self, toy, monkeypatch, tmp_path, share
    ):
        large = replace(RECIPE, images=60_000, synthesis_settings={"steps": 1, "batch": 60_000})
        needed = need_mb(begun(tmp_path / "asked", large))
        free(monkeypatch, share * needed)
        folder = begun(tmp_path / "runs", large)
        failure = work(folder)
        assert "needs about" in failure.message
        assert failure.mistake
        assert not list(folder.path.glob("images-*"))
        # The way out that it names, taken: the same memory then is enough.
        knob, words = failure.message.partition("; set ")[2].split(" to ")
        fit = int(words.split()[0])
        assert knob == "synthesis.batch"
        assert 2 <= fit < 60_000
        smaller = {"steps": 1, "batch": fit}
        asked = begun(tmp_path / "asked", replace(large, synthesis_settings=smaller))
        assert need_mb(asked, share * needed) <= share * needed

    def test_passing_images_through_is_split_with_the_same_numbers(
        self, toy, monkeypatch, tmp_path
    ):
        straight, split = begun(tmp_path / "straight"), begun(tmp_path / "split")
        work(straight)
        make = check.make_room

        def little(context, room, **more):
            yield from make(context, room, **more)
            context.most_at_once = 3

        monkeypatch.setattr("engine.run.pipeline.make_room", little)
        result = work(split)
        assert result["agreement"] == straight.result()["agreement"]
        assert result["logit_kl"] == pytest.approx(straight.result()["logit_kl"], rel=1e-4)

    def test_a_split_is_told(self, toy, monkeypatch, tmp_path):
        monkeypatch.setattr(check, "FORWARD", 1e5)
        monkeypatch.setattr(check, "quantization_mb", lambda *args: 0.0)
        folder = begun(tmp_path / "runs", replace(RECIPE, synthesis="noise", synthesis_settings={}))
        from engine.run.context import make_context

        context = make_context(folder.recipe, folder, Control(folder.path), torch.device("cpu"))
        room = Room()
        room.limit_mb = resources.memory_mb() + 2e4
        (note,) = make_room(context, room, images_there=True)
        assert isinstance(note, Noted)
        assert f"{context.most_at_once} at a time" in note.message
        assert 1 <= context.most_at_once < 250

    def test_what_fits_is_what_it_always_was(self, toy, tmp_path):
        straight, again = begun(tmp_path / "straight"), begun(tmp_path / "again")
        work(straight)
        work(again)
        assert_same(straight, again)
        assert not any("at a time" in note.message for note in of(again, Noted))

    def test_what_autograd_keeps_is_counted_by_hand(self):
        x = torch.ones(1000, requires_grad=True)
        weight = torch.ones(1000)

        def work():
            y = x * weight  # keeps the weight, 4000 bytes
            y = y.exp()  # keeps its result, 4000 more
            (y * y).sum().backward()  # keeps y once, though twice asked for

        assert saved_mb(work) == pytest.approx(8000 / 1e6)

    def test_a_deeper_network_is_counted_as_larger(self, toy, tmp_path):
        from engine.run.context import make_context

        folder = begun(tmp_path / "runs")
        context = make_context(folder.recipe, folder, Control(folder.path), torch.device("cpu"))
        small = count(context)
        context.card = replace(context.card, image_shape=(3, 32, 32))
        large = count(context)
        assert large.network == pytest.approx(16 * small.network, rel=0.3)
        assert large.held == pytest.approx(16 * small.held, rel=0.3)


class TestDuring:
    def test_a_run_that_outgrows_its_estimate_ends_with_its_own_words(self, tmp_path, monkeypatch):
        folder, ended, kept = begun(tmp_path / "runs"), [], []

        def execute(folder, control, room):
            room.expect(resources.memory_mb())
            room.limit_mb = resources.memory_mb() + 50
            while not ended:
                kept.append(bytearray(os.urandom(1024)) * 4096)  # 4 MB, touched
                yield Noted(message="grows")

        monkeypatch.setattr(worker, "execute", execute)
        worker.run(folder, end=ended.append)
        assert ended == [1]
        (failure,) = of(folder, RunFailed)
        assert "the run needs more memory than it may have: it had grown to" in failure.message
        assert "it was expected to need" in failure.message
        assert "smaller batch" in failure.advice

    def test_a_machine_without_memory_is_left_alone(self, tmp_path, monkeypatch):
        monkeypatch.setattr("engine.run.machine.memory_limit.machine_memory_mb", lambda: 10.0)
        folder, ended = begun(tmp_path / "runs"), []

        def execute(folder, control, room):
            while not ended:
                yield Noted(message="works")

        monkeypatch.setattr(worker, "execute", execute)
        worker.run(folder, end=ended.append)
        assert "the machine has no memory left (10 MB)" in of(folder, RunFailed)[0].message

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
    @pytest.mark.parametrize("limit", ["RLIMIT_AS", "own"])
    def test_a_real_limit_of_the_system_ends_it_with_its_own_words_too(self, tmp_path, limit):
        """A worker as a process, its network wanting 40 GB at once: RLIMIT_AS, or the run's own wall."""
        file = tmp_path / "greedy.py"
        file.write_text(
            textwrap.dedent("""
            import torch
            from tests.contracts.nets import TinyResNet, ready

            class Greedy(TinyResNet):
                def forward(self, x):
                    if x.shape[0] > 4:
                        torch.ones(10 * 1024**3).sum()
                    return super().forward(x)

            def make():
                return ready(Greedy())
        """)
        )
        recipe = replace(
            RECIPE, model=f"{file}:make", model_settings={"image_shape": [3, 8, 8]},
            synthesis="noise", synthesis_settings={}, quantization="nearest", quantization_settings={},
        )  # fmt: skip
        folder = begun(tmp_path / "runs", recipe)
        code = "import sys; sys.argv[1:] = [sys.argv[-1]]\n"
        if limit == "RLIMIT_AS":
            code += "import resource; resource.setrlimit(resource.RLIMIT_AS, (20 * 1024**3,) * 2)\n"
        code += "from engine.run.workers.worker import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder.path)], cwd=ROOT, check=False, timeout=120,
            env=dict(os.environ) | {resources.LIMIT: "3000", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 1
        assert folder.status()["state"] == "failed"
        (failure,) = of(folder, RunFailed)
        assert "the run needs more memory than it may have" in failure.message
        assert "smaller batch" in failure.advice


class TestFree:
    def test_a_limit_of_the_users_own_counts(self, monkeypatch):
        monkeypatch.setenv(resources.LIMIT, "123")
        assert resources.free_memory_mb() == 123
        monkeypatch.setenv(resources.LIMIT, "much")
        assert resources.free_memory_mb() == pytest.approx(resources.machine_memory_mb(), rel=0.2)

    @pytest.mark.parametrize(
        ("line", "folder", "names"),
        [("0::/a/b", "a", ("memory.max", "memory.current", "inactive_file")),
         ("4:cpu,memory:/a/b", "memory/a",
          ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))],
    )  # fmt: skip
    def test_a_containers_limit_counts_and_its_files_in_memory_do_not(
        self, tmp_path, monkeypatch, line, folder, names
    ):
        """The limit stands at the outer of two groups."""
        group = tmp_path / folder
        (group / "b").mkdir(parents=True)
        (group / names[0]).write_text("1000000000\n")
        (group / names[1]).write_text("900000000\n")
        (group / "memory.stat").write_text(f"anon 1\n{names[2]} 300000000\n")
        (group / "b" / names[0]).write_text("max\n")
        read_text = Path.read_text

        def read(self, *args, **more):
            return (
                f"{line}\n" if str(self) == "/proc/self/cgroup" else read_text(self, *args, **more)
            )

        monkeypatch.setattr(Path, "read_text", read)
        monkeypatch.setattr(resources, "CGROUPS", tmp_path)
        assert resources.machine_memory_mb() == pytest.approx(400)


def test_a_network_that_cannot_be_counted_is_left_to_its_stage(toy, monkeypatch, tmp_path):
    def broken(context):
        raise RuntimeError("no gradient")

    monkeypatch.setattr(check, "count", broken)
    assert work(begun(tmp_path / "runs"))["weight_bits"] == 3
