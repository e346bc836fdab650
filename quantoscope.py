#!/usr/bin/env python3
"""The front door: sets up what is missing, then opens the app, or runs the checks.

    python3 quantoscope.py             the app in a browser; further arguments go to Streamlit
    python3 quantoscope.py --share     the same, open to other machines, each visitor with runs of their own
        --hosts NAME,..                names that it answers to; else this machine's own and its addresses
        --folders A,B,..               where paths that they type may lead; else uploads, runs, assets
    python3 quantoscope.py test        format, lint, types, imports, tests; further ones go to pytest
        --quick                        the inner loop: lint, imports, the engine's own tests
        --thorough                     also what repeats a test with other networks, bits and settings

Needs Python 3.11 or newer and nothing else. Everything is installed into .venv beside this file,
and again only when a requirements file changes; deleting .venv starts afresh.
"""

import argparse
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
STARTED_IN = Path.cwd()
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
QUICK_CHECKS = (("ruff", "check", "."), ("lint-imports",))
QUICK_TESTS = (
    "-m", "not slow and not browser and not extended and not thorough",
    *(f"tests/{part}" for part in (
        "core", "data", "analysis", "models", "synthesis", "quantization", "contracts"
    )),
)  # fmt: skip
CHECKS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("lint-imports",),
)


def main(arguments: "list[str]") -> int:
    """Open the app, or with "test" first run the checks; returns the exit status."""
    if sys.version_info < OLDEST:
        here = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"This is Python {here} ({sys.executable}); Quantoscope needs 3.11 or newer.")
    os.chdir(ROOT)
    # pip compiles nothing here: were it not kept, every process would compile all that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if arguments[:1] == ["test"]:
        install("requirements.txt", "requirements-dev.txt")
        return test(arguments[1:])
    install("requirements.txt")
    return open_app(arguments)


def install(*files: str) -> None:
    """Bring .venv to what the files ask for; does nothing when it is there already."""
    if not PYTHON.exists():
        say(f"making {VENV}")
        create_venv()
    for name in files:
        text = (ROOT / name).read_text(encoding="utf-8")
        wanted = hashlib.sha256(text.encode()).hexdigest()
        stamp = VENV / f".installed-{name}"
        if stamp.exists() and stamp.read_text() == wanted:
            continue
        say(f"installing {name} (once; torch is large)")
        # torch first and alone: what is installed after it then finds its torch there, and cannot
        # bring another build. `pip install torch==<version>` takes the build that pip's index has
        # for this machine; to have another (say, without CUDA), install it into .venv beforehand:
        # a torch of the right version is kept.
        torch = [line for line in text.split("\n") if line.startswith("torch==")]
        for what in (torch, ["-r", name]):
            if what:
                pip_install(*what)
        stamp.write_text(wanted)
        prepare()


def prepare() -> None:
    """Collect what there is to choose from now, so that the first page need not wait for it."""
    say("collecting networks and methods")
    subprocess.run(
        [str(PYTHON), "-c", "from engine.run import catalog; catalog.install()"], check=False
    )


def create_venv() -> None:
    """An empty virtual environment with pip, or a word on what is missing for one."""
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)  # without pip, it would be taken for a good one
        sys.exit("The virtual environment could not be made; on Debian: apt install python3-venv")


def pip_install(*what: str) -> None:
    """Install into .venv, or end with a word on why not."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    command += [
        "--no-compile",
        *what,
    ]  # Python compiles what is imported, once; of torch that is a part
    if not sys.stderr.isatty():  # nobody watches: keep the log short
        command.append("--quiet")
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"Installing {' '.join(what)} failed; the lines above say why. Run this again.")


def open_app(arguments: "list[str]") -> int:
    """Run the app until it is ended."""
    rest, shared = sharing(arguments)
    command = [str(PYTHON), "-m", "streamlit", "run", "app/serve.py", *rest]
    if shared:
        # Streamlit would ask a server outside what this machine's address is, to print it.
        name = (shared["QUANTOSCOPE_HOSTS"] or socket.gethostname()).partition(",")[0]
        more = {
            "--server.address": "0.0.0.0",
            "--browser.serverAddress": bare(name),
            "--server.maxUploadSize": "200",  # MB, in memory, of each visitor
            "--client.showErrorDetails": "type",  # a defect's traceback is for the terminal
        }
        command += [f"{key}={value}" for key, value in more.items() if not given(rest, key)]
    if not has_display() and not given(rest, "--server.headless"):
        command.append("--server.headless=true")
    quiet = {
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "STREAMLIT_SERVER_SHOW_EMAIL_PROMPT": "false",  # else the first start waits for an answer
    }
    return run(command, {**quiet, **shared})


def sharing(arguments: "list[str]") -> "tuple[list[str], dict[str, str]]":
    """The arguments that are Streamlit's, and what is told to the app of --share; nothing without it."""
    parser = argparse.ArgumentParser(prog="quantoscope.py", add_help=False, allow_abbrev=False)
    parser.add_argument("--share", action="store_true")
    parser.add_argument("--hosts", default="")
    parser.add_argument("--folders", default="")
    options, rest = parser.parse_known_args(arguments)
    if not options.share:
        if options.hosts or options.folders:
            sys.exit("--hosts and --folders say what --share opens; give --share too.")
        return rest, {}
    named = [name.strip() for name in options.folders.split(",") if name.strip()]
    folders = [str((STARTED_IN / Path(name).expanduser()).resolve()) for name in named]
    for folder in folders:
        if not Path(folder).is_dir():
            sys.exit(f"--folders: {folder} is no folder; name one that is there.")
    return rest, {
        "QUANTOSCOPE_SHARE": "1",
        "QUANTOSCOPE_HOSTS": options.hosts,
        "QUANTOSCOPE_FOLDERS": ",".join(folders),
    }


def given(arguments: "list[str]", option: str) -> bool:
    """Whether Streamlit's option is among the arguments."""
    return any(one.partition("=")[0] == option for one in arguments)


def bare(host: str) -> str:
    """The host without its port."""
    return host if host.count(":") > 1 else host.partition(":")[0]


def has_display() -> bool:
    """Whether a browser can be opened on this machine's own screen."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def test(arguments: "list[str]") -> int:
    """Run the checks, then the tests; all of them, so that one run shows every fault."""
    quick, thorough = "--quick" in arguments, "--thorough" in arguments
    arguments = [word for word in arguments if word not in ("--quick", "--thorough")]
    if quick:
        arguments = [*QUICK_TESTS, *arguments]
    elif not thorough and "-m" not in arguments:
        arguments = ["-m", "not thorough", *arguments]
    failed = []
    for tool, *rest in QUICK_CHECKS if quick else CHECKS:
        say(" ".join((tool, *rest)))
        program = PYTHON.with_name(tool + (".exe" if os.name == "nt" else ""))
        if run([str(program), *rest]):
            failed.append(tool)
    if failed:
        say(f"failed: {', '.join(failed)} (see above); the tests follow")
    # Three processes, also on two cores: tests of browsers and workers wait for much, and others compute
    # meanwhile. The quick ones wait for nothing.
    options = ["-n", "2" if quick else "3", "--dist", "worksteal", "--durations=20", *arguments]
    say(" ".join(("pytest", *options)))
    return run([str(PYTHON), "-m", "pytest", *options]) or int(bool(failed))


def run(command: "list[str]", environment: "dict[str, str] | None" = None) -> int:
    """The exit status of a command that has this terminal; being ended ends the command too."""
    process = subprocess.Popen(command, cwd=str(ROOT), env={**os.environ, **(environment or {})})
    signal.signal(signal.SIGTERM, lambda _signal, _frame: process.terminate())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the command got it too and is closing down
            continue


def say(text: str) -> None:
    """Tell what goes on, apart from what the commands print."""
    sys.stderr.write(f"quantoscope: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
