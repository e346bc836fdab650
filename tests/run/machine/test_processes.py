"""Whose process a run's worker is: a number in a file is never enough to end, or to believe, a process."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from engine.core.errors import UserError
from engine.run.folders.control import Control, FolderGone, Wish, write_wish
from engine.run.folders.folder import ACTIVE, RunFolder, damaged_runs, list_runs
from engine.run.machine import processes
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch

WHOLE = {"agreement": None, "layers": [], "size_bytes": {}, "seconds": {}}  # what every result has
RECIPE = Recipe(model="toy", synthesis="dream", quantization="nearest")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, RECIPE)


@pytest.fixture
def stranger():
    """A process that is nobody's worker."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(launch, "GRACE_S", 0.1)
    monkeypatch.setattr(launch, "END_S", 0.3)


def forge(folder, **status):
    status = {"state": "running", "time_s": time.time()} | status
    (folder.path / "status.json").write_text(json.dumps(status))


class TestCancel:
    def test_a_stranger_of_that_number_lives_on(self, folder, stranger, quick):
        for more in ({}, {"born": processes.born(stranger.pid)}, {"host": processes.HOST}):
            forge(folder, pid=stranger.pid, **more)
            launch.cancel(folder)
            assert stranger.poll() is None
            assert folder.status()["state"] not in ACTIVE

    @pytest.mark.parametrize("pid", [-1, 0, 1, True, None, "1", 2.5, 2**70])
    def test_no_number_that_means_more_than_one_process(self, folder, pid, quick, monkeypatch):
        monkeypatch.setattr(os, "kill", lambda *sent: pytest.fail(f"sent {sent}"))
        forge(folder, pid=pid)
        assert folder.status()["state"] == "lost"
        launch.cancel(folder)

    @pytest.mark.parametrize("module", [processes.WORKER, "engine.run.worker"])
    def test_a_worker_that_does_not_listen_is_ended_by_what_it_executes(
        self, module, folder, quick
    ):
        """Also where the status names another number, or an older version began it."""
        script = folder.path / "deaf.py"
        script.write_text(
            "import sys, time, signal\nfrom filelock import FileLock\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "lock = FileLock(sys.argv[-1] + '/.worker'); lock.acquire()\n"
            "print('held', flush=True); time.sleep(600)\n"
        )
        words = [sys.executable, str(script), module, str(folder.path.resolve())]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as worker:
            assert worker.stdout.readline() == b"held\n"
            forge(folder, pid=os.getpid(), born=processes.born(os.getpid()))
            launch.cancel(folder)
            assert processes.born(worker.pid) is None
        assert folder.status()["state"] == "cancelled"

    def test_one_on_another_machine_is_told_where_to_be_cancelled(self, folder, quick):
        with FileLock(folder.path / processes.LOCK):
            forge(folder, pid=4242, host="elsewhere")
            with pytest.raises(UserError, match="its worker is on elsewhere; cancel it there"):
                launch.cancel(folder)


class TestSilence:
    def test_a_worker_that_is_silent_but_alive_is_not_lost_nor_deleted(self, folder):
        with FileLock(folder.path / processes.LOCK):
            folder.write_status("running", time_s=time.time() - 2 * processes.LOST_AFTER_S)
            assert folder.status()["state"] == "running"
            with pytest.raises(UserError, match="cancel it first"):
                folder.delete()
            (folder.path / "status.json").unlink()  # whatever the status says
            with pytest.raises(UserError, match="cancel it first"):
                folder.delete()
        folder.delete()

    def test_a_number_given_anew_is_another_process(self, folder, stranger):
        folder.write_status("running", pid=stranger.pid)
        assert folder.status()["state"] == "running"
        forge(folder, pid=stranger.pid, born=processes.born(stranger.pid) - 100)
        assert folder.status()["state"] == "lost"

    def test_an_older_status_without_a_birth_is_believed_by_its_lock_alone(self, folder, stranger):
        forge(folder, pid=stranger.pid)
        assert folder.status()["state"] == "lost"
        with FileLock(folder.path / processes.LOCK):
            assert folder.status()["state"] == "running"


class TestStart:
    """Of a run whose worker is gone, but not yet all of its threads: they hold the folder for a moment."""

    @pytest.fixture
    def started(self, folder, monkeypatch):
        found = []
        monkeypatch.setattr(launch, "_worker", lambda folder: found.append(folder) or os.getpid())
        forge(folder, pid=-1)
        return found

    def test_waits_for_them_and_starts_a_worker(self, folder, started):
        lock = FileLock(folder.path / processes.LOCK, thread_local=False)
        lock.acquire()
        threading.Timer(0.3, lock.release).start()
        launch.resume(folder)
        assert len(started) == 1
        assert folder.status()["state"] == "starting"

    def test_says_so_where_they_stay(self, folder, started, monkeypatch):
        monkeypatch.setattr(launch, "RELEASE_S", 0.1)
        with (
            FileLock(folder.path / processes.LOCK),
            pytest.raises(UserError, match="engine cancel"),
        ):
            launch.resume(folder)
        assert started == []


class TestLost:
    def test_one_that_the_system_ended_at_its_limit_is_told_as_such(self, folder):
        forge(folder, pid=-1, memory_mb=15_400, memory_limit_mb=16_000)
        why = folder.status()["why"]
        assert "ended the worker, most likely for memory: it had grown to 15.4 GB of 16.0 GB" in why

    def test_one_that_the_system_says_it_ended_too(self, folder, monkeypatch):
        monkeypatch.setattr("engine.run.machine.resources.ended_for_memory", lambda: 8)
        forge(folder, pid=-1, memory_mb=900, memory_limit_mb=16_000, ended_for_memory=7)
        assert "most likely for memory" in folder.status()["why"]

    def test_any_other_is_not(self, folder):
        forge(folder, pid=-1, memory_mb=900, memory_limit_mb=16_000)
        assert "for memory:" not in folder.status()["why"]
        forge(folder, pid=-1)
        assert "without a word" in folder.status()["why"]


class TestGone:
    @pytest.mark.parametrize("anew", [False, True])
    def test_whose_folder_is_deleted_ends_also_while_paused(self, folder, anew):
        write_wish(folder.path, Wish(state="pause"))
        control = Control(folder.path, lambda state: take_away())

        def take_away():
            shutil.rmtree(folder.path)
            if anew:  # the same run, begun afresh, has a worker of its own
                RunFolder.create(folder.path.parent, RECIPE)

        with pytest.raises(FolderGone):
            control.wait()


NO_OBJECTS = ["", "{", "null", "[]", "{}", "3", '"x"', "[" * 100_000, '{"state": 5}', "\x00\xff"]


class TestOddFolders:
    @pytest.mark.parametrize("text", NO_OBJECTS)
    @pytest.mark.parametrize(
        "name", ["status.json", "result.json", "control.json", "checkpoint.json"]
    )
    def test_what_is_no_such_object_is_absent(self, folder, name, text):
        (folder.path / name).write_text(text)
        assert folder.status()["state"] == "new"
        assert folder.result() is None
        assert [run.path for run in list_runs(folder.path.parent)] == [folder.path]
        launch.cancel(folder)

    @pytest.mark.parametrize(
        "text", [*NO_OBJECTS, '{"model": {}, "synthesis": 1, "quantization": []}']
    )
    def test_without_a_recipe_it_is_damaged_and_can_be_deleted(self, folder, text):
        sound = RunFolder.create(folder.path.parent, Recipe(**NAMES, seed=1))
        (folder.path / "recipe.json").write_text(text)
        assert [run.path for run in list_runs(folder.path.parent)] == [sound.path]
        (damaged,) = damaged_runs(folder.path.parent)
        assert damaged.path == folder.path
        with pytest.raises(UserError, match="is damaged"):
            RunFolder.open(folder.path.parent, folder.run_id)
        damaged.delete()
        assert damaged_runs(folder.path.parent) == []

    @pytest.mark.parametrize("left", ["status.json", "events.jsonl"])
    def test_one_that_has_lost_its_recipe_can_be_deleted_too(self, folder, left):
        (folder.path / "recipe.json").unlink()
        (folder.path / left).write_text("{}\n")
        (damaged,) = damaged_runs(folder.path.parent)
        damaged.delete()
        assert not folder.path.exists()

    def test_whose_recipe_is_of_another_run_is_damaged_until_it_is_named_by_it(self, folder):
        other = Recipe(**NAMES, seed=7)
        (folder.path / "recipe.json").write_text(other.to_json())
        with pytest.raises(UserError, match="recipe of another run; rename the folder"):
            RunFolder.open(folder.path.parent, folder.run_id)
        with pytest.raises(UserError, match="recipe of another run"):
            RunFolder.create(folder.path.parent, RECIPE)
        folder.path.rename(folder.path.parent / other.run_id)  # the way out that it names
        assert RunFolder.open(folder.path.parent, other.run_id).recipe == other

    def test_starting_it_again_writes_its_recipe_anew(self, folder):
        (folder.path / "recipe.json").write_text("null")
        assert RunFolder.create(folder.path.parent, RECIPE).recipe == RECIPE
        assert (folder.path / "recipe.json.damaged").exists()

    def test_an_unreadable_pipe_is_no_status(self, folder):
        os.mkfifo(folder.path / "status.json")
        assert folder.status()["state"] == "new"


NAMES = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}


class TestVersions:
    def test_a_run_finished_by_another_engine_says_so(self, folder):
        folder.finish(WHOLE | {"engine": "0.0.1+00000000"})
        assert "Computed by engine 0.0.1+00000000" in folder.result()["other_engine"]

    def test_one_of_this_engine_and_one_that_does_not_tell_say_nothing(self, folder):
        from engine.run.folders.version import engine_version

        for result in ({"engine": engine_version()}, {}):
            folder.finish(WHOLE | result)
            assert "other_engine" not in folder.result()


class TestSweeping:
    def test_what_a_killed_writer_left_is_swept_and_nothing_else(self, folder, stranger):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        names = {
            f".status.json.{dead.pid}": False,
            f".checkpoint.new.{dead.pid}": False,
            f".status.json.{stranger.pid}": True,  # it may be writing
            f"status.json.{dead.pid}": True,
            ".hidden": True,
            "events.jsonl": True,
        }
        for name in names:
            (folder.path / name).write_text("x")
            os.utime(folder.path / name, (0, 0))
        fresh = folder.path / f".young.{dead.pid}"  # perhaps of another machine
        fresh.write_text("x")
        from engine.run.folders.files import sweep

        sweep(folder.path, folder.path / "not-there")
        assert {name: (folder.path / name).exists() for name in names} == names
        assert fresh.exists()


class TestNoPlace:
    @pytest.mark.parametrize("code", ["ENOSPC", "EACCES", "EROFS", "ENAMETOOLONG"])
    def test_what_cannot_be_written_at_the_start_is_one_line(self, tmp_path, monkeypatch, code):
        import errno

        def refuse(*args, **more):
            number = getattr(errno, code)
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(UserError, match=r"free some space|--runs DIR|shorter name") as told:
            launch.start(RECIPE, tmp_path)
        assert "\n" not in str(told.value)

    def test_a_file_in_the_place_of_the_folder(self, tmp_path):
        (tmp_path / "runs").write_text("")
        with pytest.raises(
            UserError,
            match=r"a file stands where a folder must be; .* --runs DIR",
        ):
            launch.start(RECIPE, tmp_path / "runs")
