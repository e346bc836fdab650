"""A question put to a finished run on the command line: the kept answer, else one that is found now."""

import argparse
from collections.abc import Callable
from typing import Any

from engine.run.commands.printed.common import runs_folder
from engine.run.commands.printed.progress import Progress
from engine.run.folders.folder import RunFolder
from engine.run.questions.why import answers

Tell = Callable[[int, int, str], None]
Question = Callable[[RunFolder, Tell], dict[str, Any]]


def answered(
    options: argparse.Namespace, command: str, question: Callable[[], Question], layer: str = ""
) -> dict[str, Any]:
    """The answer about `options.run`. `question` imports what finds it, and torch, if there is none yet.

    `layer`: of a question about one layer alone.
    """
    folder = RunFolder.open(runs_folder(options), options.run)

    def find() -> dict[str, Any]:
        asked = question()
        from engine.run.workers.worker import settle_in

        settle_in()
        return asked(folder, Progress().counted)

    return answers.answer(folder, command, find, layer)
