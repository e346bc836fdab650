"""A run's folder: whole lines only, whole files only, nothing outside of it."""

import contextlib
import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from engine.core.errors import UserError
from engine.core.events import Noted, RunFinished, StateChanged
from engine.run.folders import folder as module
from engine.run.folders.folder import (
    RunFolder,
    is_disk_full,
    list_runs,
    safe_name,
    write_atomically,
)
from engine.run.machine import processes
from engine.run.machine.processes import LOST_AFTER_S
from engine.run.recipes.recipe import Recipe

RECIPE = Recipe(model="toy", synthesis="dream", quantization="nearest")


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, RECIPE)


def messages(folder, offset=0):
    return [event.message for _, event in folder.events(offset)]


class TestAsked:
    def test_is_the_time_of_its_first_change_of_state_however_old_its_files_are(self, folder):
        folder.append(Noted(message="of the run that a fork left", time_s=500.0))
        folder.append(StateChanged(state="queued", time_s=1000.5))
        folder.append(StateChanged(state="running", time_s=2000.0))
        assert folder.asked_s() == 1000.5

    def test_is_that_of_the_recipe_s_file_where_no_event_tells(self, folder):
        recipe = folder.path / "recipe.json"
        os.utime(recipe, (3000, 3000))
        assert folder.asked_s() == 3000
        for line in ('{"kind":"state-changed","state":"running","time_s":"x"}', '"state-changed"'):
            folder.events_file.write_text(line + "\n")
            assert folder.asked_s() == 3000
        recipe.unlink()
        assert folder.asked_s() == 0


class TestEvents:
    def test_are_read_in_order_and_from_an_offset_on(self, folder):
        for text in "abc":
            folder.append(Noted(message=text))
        offsets = [offset for offset, _ in folder.events()]
        assert messages(folder) == ["a", "b", "c"]
        assert messages(folder, offsets[1]) == ["c"]
        assert offsets[-1] == folder.events_file.stat().st_size

    def test_a_torn_last_line_waits_until_it_is_whole(self, folder):
        folder.append(Noted(message="a"))
        line = Noted(message="b").to_json()
        with folder.events_file.open("a") as file:
            file.write(line[:20])
        assert messages(folder) == ["a"]
        ((behind, _),) = folder.lines()  # the torn part is not handed out as a line of its own
        with folder.events_file.open("a") as file:
            file.write(line[20:] + "\n")
        assert messages(folder, behind) == ["b"]

    def test_a_line_torn_by_a_crash_costs_only_itself(self, folder):
        folder.append(Noted(message="a"))
        with folder.events_file.open("a") as file:
            file.write('{"kind":"noted","mess')
        folder.append(Noted(message="c"))
        assert messages(folder) == ["a", "c"]

    def test_there_are_none_before_the_first(self, folder):
        assert messages(folder) == []

    def test_no_line_ends_in_the_middle_of_a_letter(self, folder):
        folder.append(Noted(message="Größe ‰"))
        assert messages(folder) == ["Größe ‰"]


class TestAtomicWrite:
    def test_replaces_the_whole_and_leaves_nothing_beside(self, tmp_path):
        for text in (b"a long first text", b"short"):
            write_atomically(tmp_path / "x", text)
        assert (tmp_path / "x").read_bytes() == b"short"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    @pytest.mark.parametrize("broken", ["fsync", "replace"])
    def test_keeps_the_old_file_when_the_disk_is_full(self, tmp_path, monkeypatch, broken):
        def full(*_args):
            raise OSError(errno.ENOSPC, "No space left on device", "x")

        write_atomically(tmp_path / "x", b"old")
        target = {"fsync": (os, "fsync"), "replace": (Path, "replace")}[broken]
        monkeypatch.setattr(*target, full)
        with pytest.raises(OSError, match="No space") as raised:
            write_atomically(tmp_path / "x", b"new")
        assert is_disk_full(raised.value)
        assert (tmp_path / "x").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


class TestNames:
    @pytest.mark.parametrize("name", ["a", "images-000120.webp", "toy_w4a4_0f", "A.b-c_d"])
    def test_safe(self, name):
        assert safe_name(name) == name

    @pytest.mark.parametrize(
        "name",
        ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd",
         ".hidden", "a..b", "a\0", "a\n", "ä", "a b", "C:x"],
    )  # fmt: skip
    def test_unsafe(self, name, folder):
        with pytest.raises(UserError, match="is not the name of a run or file"):
            safe_name(name)
        with pytest.raises(UserError):
            folder.snapshot(name)
        with pytest.raises(UserError):
            RunFolder.open(folder.path.parent, name)

    def test_a_run_that_is_not_there(self, tmp_path):
        with pytest.raises(UserError, match="run 'nothing' is not in"):
            RunFolder.open(tmp_path, "nothing")


class TestCreate:
    def test_the_same_recipe_finds_the_same_run(self, folder, tmp_path):
        folder.append(Noted(message="kept"))
        again = RunFolder.create(tmp_path, RECIPE)
        assert again.path == folder.path
        assert messages(again) == ["kept"]
        assert again.recipe == RECIPE

    def test_a_run_of_the_first_engines_is_opened_by_the_name_that_it_has(self, folder, tmp_path):
        """Whose names followed from fewer fields; another name of that kind is another run's."""
        content = {
            field: getattr(RECIPE, field)
            for field in (
                "model", "synthesis", "quantization", "weight_bits", "activation_bits", "images",
                "seed", "edge_rule", "model_settings", "synthesis_settings", "quantization_settings",
                "weights", "data",
            )
        }  # fmt: skip
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        bits = f"w{RECIPE.weight_bits}a{RECIPE.activation_bits}"
        for name, is_its_own in (
            (f"toy_dream_nearest_{bits}_{digest[:8]}", True),
            ("toy_0", False),
        ):
            folder.path.rename(tmp_path / name)
            folder = RunFolder(tmp_path / name)
            assert (folder.damage() is None) == is_its_own
            assert (list_runs(tmp_path) == []) != is_its_own

    def test_runs_are_listed_the_newest_first(self, tmp_path):
        paths = []
        for seed in range(3):
            run = RunFolder.create(tmp_path, Recipe(**NAMES, seed=seed))
            os.utime(run.path, (seed, seed))
            paths.append(run.path)
        (tmp_path / "no-run").mkdir()
        assert [run.path for run in list_runs(tmp_path)] == paths[::-1]
        assert list_runs(tmp_path / "nowhere") == []


NAMES = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}


class TestStatus:
    def test_new_before_anything_is_written(self, folder):
        assert folder.status() == {"state": "new"}

    def test_is_what_the_worker_wrote(self, folder):
        folder.write_status("running", step=3)
        assert folder.status()["state"] == "running"
        assert folder.status()["step"] == 3

    def test_lost_when_the_process_is_gone(self, folder):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        folder.write_status("running", pid=ended.pid)
        assert folder.status()["state"] == "lost"

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="zombies are told apart through /proc")
    def test_lost_when_the_process_is_a_zombie(self, folder):
        child = subprocess.Popen([sys.executable, "-c", ""])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        folder.write_status("running", pid=child.pid)
        assert folder.status()["state"] == "lost"
        child.wait()

    def test_lost_when_the_heart_has_stopped(self, folder):
        folder.write_status("paused", time_s=time.time() - LOST_AFTER_S - 1)
        assert folder.status()["state"] == "lost"
        folder.write_status("paused", time_s=time.time() - LOST_AFTER_S + 5)
        assert folder.status()["state"] == "paused"

    @pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
    def test_an_ended_run_is_never_lost(self, folder, state):
        folder.write_status(state, pid=2**22, time_s=0)
        assert folder.status()["state"] == state

    def test_a_broken_status_is_as_none(self, folder):
        (folder.path / "status.json").write_text("{")
        assert folder.status()["state"] == "new"


class TestEnd:
    def test_the_result_is_a_file_and_an_event(self, folder):
        assert folder.result() is None
        result = {"agreement": 0.5, "layers": [], "size_bytes": {}, "seconds": {}}
        folder.finish(result)
        # A run may be moved, so where it lies is told, not stored.
        here = {"run": folder.run_id, "folder": str(folder.path)}
        assert folder.result() == here | result
        assert json.loads((folder.path / "result.json").read_text()) == result
        (_, last) = list(folder.events())[-1]
        assert isinstance(last, RunFinished)

    def test_the_reserve_takes_space_and_gives_it_back(self, folder):
        folder.hold_reserve()
        assert (folder.path / ".reserve").stat().st_size == module.RESERVE_BYTES
        folder.free_reserve()
        folder.free_reserve()
        assert not (folder.path / ".reserve").exists()

    def test_a_worker_that_takes_its_last_file_away_does_not_break_a_deletion(
        self, folder, monkeypatch
    ):
        folder.write_status("cancelled")
        folder.hold_reserve()
        scan = os.scandir

        def scan_then_free(path):
            entries = list(scan(path))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(".reserve", dir_fd=path)
            return contextlib.nullcontext(entries)

        monkeypatch.setattr(os, "scandir", scan_then_free)
        folder.delete()
        monkeypatch.undo()
        assert not list(folder.path.parent.iterdir())

    def test_a_worker_that_is_leaving_is_waited_for(self, folder):
        folder.write_status("done")
        lock = FileLock(folder.path / processes.LOCK, thread_local=False)
        lock.acquire()
        leaving = threading.Timer(0.3, lock.release)
        leaving.start()
        folder.delete()
        leaving.join()
        assert not folder.path.exists()

    def test_a_run_at_work_is_not_deleted(self, folder):
        folder.write_status("running")
        with pytest.raises(UserError, match="at work; cancel it first"):
            folder.delete()
        folder.write_status("cancelled")
        folder.delete()
        assert not folder.path.exists()
