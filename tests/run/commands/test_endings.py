"""However a command ends: one line on standard error, a status that says what kind, and no traceback."""

import contextlib
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.core.errors import UserError
from engine.core.events import RunFailed, StateChanged
from engine.run import catalog as catalog_module
from engine.run import subprocess_answer
from engine.run.commands import listing
from engine.run.commands.printed import progress
from engine.run.commands.printed.ending import hinted
from engine.run.folders import disk
from engine.run.folders.folder import RunFolder
from engine.run.machine import resources
from engine.run.recipes.recipe import Recipe
from engine.run.workers import launch, waiting, worker
from tests.toys import catalog

ROOT = Path(__file__).parents[3]
NAMES = ["--model", "toy", "--synthesis", "dream", "--quantization", "nearest"]


@pytest.fixture
def ends(monkeypatch, capsys):
    """A function: what `python -m engine runs` does where this happens in it: (status, its one line)."""

    def run(error, *words):
        def happen(_options):
            raise error

        monkeypatch.setattr(listing, "runs", happen)
        status = main(["runs", *words])
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        return status, err.rstrip("\n")

    return run


def broken_import():
    error = ImportError("numpy could not be imported")
    error.__cause__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (UserError("x is 3;\n give 4"), 2, "x is 3; give 4"),
        (UserError("file \x1b[31mred\x07 is odd; rename it"), 2, "file ?[31mred? is odd"),
        (OSError(errno.ENOSPC, "No space left on device", "standard output"), 1, "takes no more"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C"),
        (broken_import(), 130, "stopped by Ctrl-C"),
        (OSError(errno.ENOSPC, "No space left on device", "/r/x"), 1, "failed: /r/x cannot be read or "
         "written: No space left on device; free some space"),
        (OSError(errno.EFBIG, "File too large", "/r/x"), 1, "raise the limit on the size of files"),
        (OSError(errno.ENOENT, "No usable temporary directory found"), 1, "failed: a file cannot be"),
        (PermissionError(errno.EACCES, "Permission denied", "/r/x"), 2, "/r/x cannot be read or written: "
         "Permission denied; make it writable, or give another folder"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 5000), 2, "give a shorter name"),
        (subprocess_answer.CommandError("catalog", "Traceback\n  x\nfailed: KeyError: 'a'; more"), 1,
         "failed: `engine catalog` broke: KeyError: 'a'; more"),
        (subprocess_answer.CommandError("catalog", "", -9), 1,
         "the system ended it (signal 9), perhaps for want"),
    ],
)  # fmt: skip
def test_what_is_known_is_told_with_its_way_out(ends, error, status, says):
    found, line = ends(error)
    assert found == status
    assert says in line
    assert len(line) < 500


@pytest.mark.parametrize(
    "error",
    [KeyError("conv1"), RuntimeError("mat1 and mat2\ncannot be multiplied"), MemoryError(),
     RecursionError("too deep"), AssertionError(), ZeroDivisionError("x" * 5000)],
)  # fmt: skip
def test_what_nobody_expected_is_named_and_kept_whole(ends, error):
    status, line = ends(error)
    assert status == 1
    assert line.startswith(f"failed: {type(error).__name__}")
    report = Path(line.rpartition("the full report is in ")[2])
    assert "Traceback" in report.read_text()
    report.unlink()


def test_what_nobody_expected_of_a_run_is_kept_in_its_folder(tmp_path, monkeypatch, capsys):
    recipe = Recipe(model="toy", synthesis="dream", quantization="nearest")
    folder = RunFolder.create(tmp_path, recipe)
    monkeypatch.setattr(launch, "cancel", lambda folder: {}["state"])
    assert main(["cancel", folder.run_id, "--runs", str(tmp_path)]) == 1
    assert str(folder.path / "command.log") in capsys.readouterr().err
    assert "KeyError: 'state'" in (folder.path / "command.log").read_text()


def engine(*words, shell="{command}", before=None):
    """`python -m engine WORDS` as a process of its own, inside a line of the shell."""
    command = f"{sys.executable} -m engine {' '.join(words)}"
    return subprocess.run(
        ["bash", "-c", shell.format(command=command)], cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=60, preexec_fn=before, env=dict(os.environ) | {"PYTHONUNBUFFERED": ""},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shell", "status", "says"),
    [
        ("{command} > /dev/full", 1, "failed: standard output takes no more: No space left on device;"),
        ("PYTHONUNBUFFERED=1 {command} > /dev/full", 1, "failed: standard output takes no more"),
        ("{command} >&-", 0, ""),
        ("{command} 2>&-", 0, ""),
        ("{command} <&- >&- 2>&-", 0, ""),
        ("{command} 2>&- --fly", 2, ""),
        ("{command} 2>/dev/full --fly", 2, ""),
        ("set -o pipefail; {command} --help | true; exit 0", 0, ""),
        ("set -o pipefail; {command} | true; exit 0", 0, ""),
    ],
)  # fmt: skip
def test_streams_that_are_closed_or_full(tmp_path, shell, status, says):
    done = engine("runs", "--runs", str(tmp_path), shell=shell)
    assert done.returncode == status
    assert done.stderr.count("\n") == bool(says)
    assert says in done.stderr


@pytest.mark.parametrize(
    "kind", ["a file", "below a file", "/proc/nothing", "too long", "no writing"]
)
def test_a_folder_of_runs_that_can_be_none_is_one_line(tmp_path, kind, monkeypatch, capsys):
    file = tmp_path / "file"
    file.touch()
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o500)
    places = {
        "a file": file, "below a file": file / "x", "too long": tmp_path / ("x" * 300),
        "no writing": shut / "runs",
    }  # fmt: skip
    if kind == "no writing" and os.access(shut, os.W_OK):
        pytest.skip("this user may write everywhere")
    monkeypatch.setattr(
        subprocess_answer.subprocess, "run", lambda *a, **k: pytest.fail("asked the engine")
    )
    monkeypatch.setattr(catalog_module, "answer_of", lambda *a, **k: catalog())
    monkeypatch.setattr(catalog_module, "_installed_file", lambda: None)
    place = str(places.get(kind, kind))
    assert main(["run", *NAMES, "--runs", place]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert place[:150] in err
    assert "; give " in err


def test_a_limit_on_the_size_of_files_is_one_line(tmp_path):
    done = engine(
        "run", *NAMES, "--runs", str(tmp_path / "runs"),
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ulimit -f" in done.stderr


def test_a_worker_that_meets_the_limit_says_so_too():
    error = OSError(errno.EFBIG, "File too large", "/r/images-000.safetensors")
    assert worker._message(error).startswith("/r/images-000.safetensors cannot be read or written")
    assert "ulimit -f" in worker._advice(error)
    assert "resume" in worker._advice(error)


@pytest.mark.parametrize(
    ("own", "usual", "wanted"),
    [
        ("3", "2", 3), ("", "2", 2), (None, "2", 2), (None, None, None), (None, "4,2", None),
        (None, "0", None), (None, "99999", None),
    ],
)  # fmt: skip
def test_threads_are_those_that_were_given(monkeypatch, own, usual, wanted):
    for name, value in (("QUANTOSCOPE_THREADS", own), ("OMP_NUM_THREADS", usual)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert resources.threads_wanted() == wanted


@pytest.mark.parametrize("threads", ["x", "0", "-1", "1e9", "nan", "2.5"])
def test_threads_that_are_no_number_are_told_before_a_worker_starts(tmp_path, monkeypatch, threads):
    monkeypatch.setenv("QUANTOSCOPE_THREADS", threads)
    monkeypatch.setattr(launch, "_launch", lambda folder: pytest.fail("started"))
    recipe = Recipe(model="toy", synthesis="dream", quantization="nearest")
    says = f"QUANTOSCOPE_THREADS is '{threads}'; choose 1 to"
    with pytest.raises(UserError, match=says):
        launch.start(recipe, tmp_path)
    with pytest.raises(UserError, match=says):
        launch.resume(RunFolder.create(tmp_path, recipe))


@pytest.mark.parametrize(
    ("status", "out", "err", "kind", "says"),
    [
        (2, "", "x is 3; give 4\n", UserError, "x is 3; give 4"),
        (
            2,
            "",
            "",
            subprocess_answer.CommandError,
            "`engine models` broke: it ended without a word",
        ),
        (
            1,
            "",
            "noise\nfailed: KeyError: 1; more\n",
            subprocess_answer.CommandError,
            "broke: KeyError: 1; more",
        ),
        (-9, "", "", subprocess_answer.CommandError, "signal 9"),
        (0, "", "", subprocess_answer.CommandError, "it ended without a word"),
        (0, "no json\n", "", subprocess_answer.CommandError, "it ended without a word"),
        (0, "[1]\n", "", subprocess_answer.CommandError, "it ended without a word"),
    ],
)
def test_another_process_that_has_no_answer_is_one_line(monkeypatch, status, out, err, kind, says):
    done = subprocess.CompletedProcess([], status, out, err)
    monkeypatch.setattr(subprocess_answer.subprocess, "run", lambda *a, **k: done)
    with pytest.raises(kind) as raised:
        subprocess_answer.answer_of("models", "--json")
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_progress_that_nobody_reads_ends_no_run():
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        shown = progress.Progress(out=full)
        shown.line("running")
        shown.show(progress.Stepped(stage="synthesis", part="batch 1", step=7, losses={}))


class TestHints:
    def test_repeat_the_folder_of_runs_where_it_was_given(self):
        text = "gone; `python -m engine runs` lists them, see `python -m engine run --help`"
        assert hinted(text, None) == text
        assert hinted(text, Path("/a b/c")) == (
            "gone; `python -m engine runs --runs '/a b/c'` lists them, see `python -m engine run --help`"
        )

    def test_so_does_every_line_of_a_run(self, capsys, tmp_path):
        recipe = Recipe(model="toy", synthesis="dream", quantization="nearest")
        folder = RunFolder.create(tmp_path, recipe)
        shown = progress.Progress(folder=folder, runs=tmp_path)
        shown.show(StateChanged(state="paused"))
        assert f"resume {folder.run_id} --runs {tmp_path}`" in capsys.readouterr().err

    def test_a_mistake_is_told_once_and_a_failure_with_its_advice(self, capsys, tmp_path):
        folder = RunFolder(tmp_path)
        for mistake, told in ((True, "failed: it broke\n"), (False, "failed: it broke; mend it\n")):
            shown = progress.Progress()
            shown.show(RunFailed(message="it broke", advice="mend it", mistake=mistake))
            progress._report_failure(folder, shown)
            assert capsys.readouterr().err == told


class TestWaiting:
    def made(self, runs, seed, state):
        recipe = Recipe(model="toy", synthesis="dream", quantization="nearest", seed=seed)
        folder = RunFolder.create(runs, recipe)
        folder.write_status(state)
        return folder

    def test_queued_says_behind_what(self, tmp_path, capsys):
        ahead, mine = self.made(tmp_path, 0, "running"), self.made(tmp_path, 1, "queued")
        self.made(tmp_path, 2, "queued")
        self.made(tmp_path, 3, "done")
        detail = waiting.place_of(mine).words()
        progress.Progress(folder=mine).show(StateChanged(state="queued", detail=detail))
        assert capsys.readouterr().err == f"queued, 1 of 2 in line behind run {ahead.run_id}\n"

    def test_a_run_that_is_joined_later_says_how_far_it_is(self, tmp_path, capsys):
        shown = progress.Progress()
        assert shown.join({"state": "running", "total_steps": 40}) == "running"
        shown._stepped(progress.Stepped(stage="synthesis", part="batch 1", step=7, losses={}))
        assert "synthesis 7/40 batch 1" in capsys.readouterr().err

    def test_pause_waits_for_the_step_to_end_and_tells_the_state(
        self, tmp_path, capsys, monkeypatch
    ):
        folder = self.made(tmp_path, 0, "running")
        monkeypatch.setattr(
            launch, "write_wish", lambda path, wish: folder.write_status(wish.state + "d")
        )
        assert main(["pause", folder.run_id, "--runs", str(tmp_path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"run": folder.run_id, "state": "paused"}

    def test_resume_of_a_paused_run_lets_it_go_on(self, tmp_path, monkeypatch):
        folder = self.made(tmp_path, 0, "paused")
        monkeypatch.setattr(launch, "_launch", lambda folder: pytest.fail("a second worker"))
        launch.pause(folder)
        launch.resume(folder)
        assert json.loads((folder.path / "control.json").read_text())["state"] == "run"

    def test_how_far_an_analysis_is_goes_to_standard_error(self, capsys):
        progress.Progress().counted(3, 20, "layer1.0.conv1")
        assert capsys.readouterr() == ("", "3/20 layer1.0.conv1\n")


def test_disk_s_refusals_all_have_a_way_out():
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOTDIR, errno.EMFILE):
        assert disk.way_out(OSError(number, os.strerror(number), "/x"))
    assert disk.way_out(ConnectionResetError(errno.ECONNRESET, "reset")) is None
