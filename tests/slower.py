"""Which tests take long: `test --quick` leaves them out. They are listed in slower.txt.

`python3 quantoscope.py test --quick -n 0 -m "not slow and not browser and not thorough" --note-slower`
writes the list anew, by processor time, so that a busy machine makes no test slower. A new test is run until
then.
"""

import time
from collections.abc import Generator
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("slower.txt")
QUICK_S = 0.1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--note-slower",
        action="store_true",
        help=f"list the tests above {QUICK_S} s in {LIST.name}",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--note-slower") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Clock())


@pytest.hookimpl(tryfirst=True)  # before tests are taken or left by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slower = set(LIST.read_text(encoding="utf-8").splitlines())
    for item in items:
        if item.nodeid in slower:
            item.add_marker(pytest.mark.extended)


class Clock:
    """Sums the processor time of each test, set-up included, and writes the list at the end."""

    def __init__(self) -> None:
        self.slower: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        begun = time.process_time()
        done = yield
        if time.process_time() - begun > QUICK_S:
            self.slower.append(item.nodeid)
        return done

    def pytest_sessionfinish(self) -> None:
        LIST.write_text("".join(f"{test}\n" for test in sorted(self.slower)), encoding="utf-8")
