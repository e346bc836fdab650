"""Every mistake of the user's that is told names a way out: read from the source, message by message."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A sentence, and behind it what to do: a verb that one can follow, or a command.
_VERBS = (
    "allow|ask|bring|build|call|cancel|change|check|choose|convert|delete|do|download|export|fetch|free|get|give|"
    "hold|keep|let|list|load|look|lower|make|mend|move|name|pack|pause|pick|place|pull|put|raise|reach|reduce|remove|rename|"
    "repeat|resume|retrain|return|run|save|say|see|set|start|stop|take|train|try|turn|unpack|update|use|wait|wrap|write"
)
_LEAD = "(?:then |or |and |else |either |please |here |names )?"
_WAY = re.compile(
    rf"[;:,(.] ?{_LEAD}(?:{_VERBS})\b|\bthere are: |`python -m "
    r"|\b(?:must|it comes with|they come with|lists?|says)\b|count from 0|these (?:can|have)|that may be: ",
    re.IGNORECASE,
)
_PASSED_ON = "passed on"
_FILLED_IN = (  # the way out is in what is filled in; tests/ways_out/test_files.py takes each
    "weights file {} cannot be read: {}",
    "weights file {} does not fit {}: {}",
    "{}, timm/NAME or FILE.py:FACTORY",
    "model.{}",
    "{} has the columns {}, and none of {}",
    "{}, or {} to leave it float",
)


def messages():
    """(where, text) of each UserError; a text that is made elsewhere is "passed on"."""
    for folder in ("engine", "app"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UserError":
                    where = f"{file.relative_to(ROOT)}:{node.lineno}"
                    yield where, text_of(node.args[0]) if node.args else ""


def text_of(node):
    """The words of a message as far as the source says them; what is filled in is `{}`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
        text = "".join(str(part) for part in parts)
        return _PASSED_ON if re.sub(r"[{}:;., ]", "", text) == "" else text
    return _PASSED_ON


def test_every_message_says_what_to_do():
    without = [
        f"{where}: {text}"
        for where, text in messages()
        if text not in (_PASSED_ON, *_FILLED_IN)
        and not text.endswith(("; {}", "{}{}"))
        and not _WAY.search(text)
    ]
    assert without == [], "say in the message what the user can do"


def test_there_are_messages_to_read():
    assert len(list(messages())) > 100


@pytest.mark.parametrize("text", ["x is 3", "the file {} is broken", "layer {} does not run: {}"])
def test_a_message_without_a_way_out_is_seen(text):
    assert not _WAY.search(text)
