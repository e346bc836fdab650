"""A process that was begun in the background: what stops it by Ctrl-C's signal is heard all the same."""

import signal
import subprocess
import sys

IGNORED = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, {})"
WAITS = "{}import time; print('ready', flush=True); time.sleep(30)"
HEARS = "from engine.run.commands.printed.common import hear_interrupts; hear_interrupts(); "


def ends_by_interrupt(begins: str, patience_s: float) -> bool:
    words = [sys.executable, "-c", WAITS.format(begins)]
    command = [sys.executable, "-c", IGNORED.format(words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return False
    return True


def test_a_signal_that_was_ignored_is_heard() -> None:
    assert not ends_by_interrupt("", patience_s=1)
    assert ends_by_interrupt(HEARS, patience_s=20)
