"""The front door installs once, torch first, and says in words what is missing."""

import ast
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def door(tmp_path, monkeypatch):
    """quantoscope.py as a module whose .venv is a test's, with `calls` to pip instead of pip."""
    spec = importlib.util.spec_from_file_location("quantoscope", ROOT / "quantoscope.py")
    door = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(door)
    venv = tmp_path / ".venv"
    door.calls = []
    monkeypatch.setattr(door, "ROOT", tmp_path)
    monkeypatch.setattr(door, "VENV", venv)
    monkeypatch.setattr(door, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(door, "create_venv", lambda: venv.mkdir(exist_ok=True))
    monkeypatch.setattr(door, "pip_install", lambda *what: door.calls.append(what))
    door.prepared = []
    monkeypatch.setattr(door, "prepare", lambda: door.prepared.append(len(door.calls)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.txt").write_text("torch==2\nnumpy==1\n")
    (tmp_path / "requirements-dev.txt").write_text("ruff==1\n")
    return door


def test_installs_torch_first_and_alone_and_only_once(door):
    door.install("requirements.txt", "requirements-dev.txt")
    assert door.calls == [("torch==2",), ("-r", "requirements.txt"), ("-r", "requirements-dev.txt")]
    assert door.prepared == [2, 3], "when all is there that it needs"
    door.install("requirements.txt", "requirements-dev.txt")
    assert len(door.calls) == 3
    assert len(door.prepared) == 2


def test_installs_again_what_has_changed(door, tmp_path):
    door.install("requirements.txt", "requirements-dev.txt")
    door.calls.clear()
    (tmp_path / "requirements-dev.txt").write_text("ruff==2\n")
    door.install("requirements.txt", "requirements-dev.txt")
    assert door.calls == [("-r", "requirements-dev.txt")]


def test_an_install_that_failed_is_tried_again(door, monkeypatch):
    def fail(*what):
        raise SystemExit("no network")

    good = door.pip_install
    monkeypatch.setattr(door, "pip_install", fail)
    with pytest.raises(SystemExit):
        door.install("requirements.txt")
    monkeypatch.setattr(door, "pip_install", good)
    door.install("requirements.txt")
    assert len(door.calls) == 2


def test_an_old_python_is_told_so(door, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"This is Python 3\.9 .* needs 3\.11 or newer"):
        door.main([])


def test_an_old_python_can_read_the_file_at_all():
    ast.parse((ROOT / "quantoscope.py").read_text(), feature_version=(3, 7))


def test_needs_the_standard_library_only():
    tree = ast.parse((ROOT / "quantoscope.py").read_text())
    names = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert names <= sys.stdlib_module_names | {"Path"}


def test_every_check_runs_although_one_fails_and_the_status_says_so(door, monkeypatch):
    ran = []

    def run(command, environment=None):
        ran.append(" ".join([Path(command[0]).stem, *command[1:]]))
        return int("mypy" in command[0])

    monkeypatch.setattr(door, "run", run)
    assert door.main(["test", "-k", "x"]) == 1
    assert ran[:4] == ["ruff format --check .", "ruff check .", "mypy", "lint-imports"]
    (tests,) = ran[4:]
    assert tests.startswith("python -m pytest -n 3")
    assert tests.endswith("-m not thorough -k x")
    monkeypatch.setattr(door, "run", lambda *_: 0)
    assert door.main(["test"]) == 0
    monkeypatch.setattr(door, "run", lambda command: 3 if "pytest" in command else 0)
    assert door.main(["test"]) == 3


@pytest.mark.parametrize(
    ("given", "marks"),
    [
        (["--thorough"], None),
        (["-m", "browser"], "browser"),
        (["--quick"], "not slow and not browser and not extended and not thorough"),
    ],
)
def test_what_is_asked_for_says_which_tests_are_run(door, monkeypatch, given, marks):
    ran = []
    monkeypatch.setattr(door, "run", lambda command: ran.append(command) or 0)
    assert door.main(["test", *given]) == 0
    *_, tests = ran
    chosen = [tests[k + 1] for k, word in enumerate(tests) if word == "-m"][1:]  # -m pytest
    assert chosen == ([] if marks is None else [marks])
    assert not {"--quick", "--thorough"} & {*tests}


@pytest.mark.parametrize(
    ("display", "given", "headless"),
    [("", [], ["--server.headless=true"]), (":0", [], []), ("", ["--server.headless=false"], [])],
)
def test_opens_the_app_with_further_arguments(door, monkeypatch, display, given, headless):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    seen = []
    monkeypatch.setattr(door, "run", lambda command, environment: seen.append(command) or 0)
    assert door.main(["--server.port=9", *given]) == 0
    assert seen[0][1:] == [
        "-m", "streamlit", "run", "app/serve.py", "--server.port=9", *given, *headless,
    ]  # fmt: skip


@pytest.mark.parametrize("asked", ["app", "test"])
def test_what_python_compiles_is_kept_for_the_next_process(door, monkeypatch, asked):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    child = [sys.executable, "-c", "import sys; sys.exit(sys.dont_write_bytecode)"]
    assert door.run(child) == 1
    monkeypatch.setattr(door, "test" if asked == "test" else "open_app", lambda _: door.run(child))
    assert door.main(["test"] if asked == "test" else []) == 0


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_being_ended_ends_the_command(tmp_path):
    child = "import time, os; print(os.getpid(), flush=True); time.sleep(60)"
    parent = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import quantoscope; "
        f"sys.exit(quantoscope.run([sys.executable, '-c', {child!r}]))"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    with process:
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) != 0
    time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_every_requirement_is_pinned_exactly():
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            assert line.startswith("#") or re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line), line


@pytest.fixture
def opened(door, monkeypatch):
    """The command and the environment that the app is opened with."""
    seen = []
    monkeypatch.setattr(
        door, "run", lambda command, environment: seen.append((command, environment)) or 0
    )

    def open_with(*arguments):
        assert door.main(["--server.headless=true", *arguments]) == 0
        return seen[-1]

    return open_with


def test_shares_only_when_it_is_told_to(opened):
    command, environment = opened()
    assert "QUANTOSCOPE_SHARE" not in environment
    assert not [word for word in command if "address" in word.lower() or "Upload" in word]


def test_sharing_opens_the_port_and_says_to_the_app_what_is_open(opened, tmp_path):
    command, environment = opened(
        "--share", "--hosts", "lab.local:80,10.0.0.7", "--folders", str(tmp_path)
    )
    assert "--server.address=0.0.0.0" in command
    assert (
        "--browser.serverAddress=lab.local" in command
    )  # else Streamlit asks a server outside for one
    assert not {"--share", "--hosts", "--folders"} & set(command)
    told = {key: environment[key] for key in environment if key.startswith("QUANTOSCOPE")}
    assert told == {
        "QUANTOSCOPE_SHARE": "1", "QUANTOSCOPE_HOSTS": "lab.local:80,10.0.0.7",
        "QUANTOSCOPE_FOLDERS": str(tmp_path),
    }  # fmt: skip
    command, _ = opened("--share", "--server.address=127.0.0.2")
    assert [word for word in command if "server.address" in word] == ["--server.address=127.0.0.2"]


@pytest.mark.parametrize(("given", "said"), [
    (["--share", "--folders", "/nowhere/at/all"], "/nowhere/at/all is no folder"),
    (["--hosts", "lab.local"], "give --share too"), (["--folders", "/"], "give --share too"),
])  # fmt: skip
def test_a_mistake_in_what_is_shared_is_one_line(door, given, said):
    with pytest.raises(SystemExit, match=said):
        door.main(given)
