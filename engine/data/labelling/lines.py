"""The lines of a table as text: in any encoding, with any separator, with comments between."""

import codecs
import csv
import io
import re
from collections.abc import Callable

from engine.core.errors import UserError
from engine.data.names import SUFFIXES

Lines = list[tuple[int, list[str]]]  # number in the file, fields
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_SEPARATORS = ",;\t|"
# Another program that saved such a table again has put separators of its own behind.
_SEP = re.compile(rf'\ufeff?"?sep=([{_SEPARATORS}])"?[{_SEPARATORS} ]*(?=[\r\n]|$)', re.IGNORECASE)


def lines_of(raw: bytes, name: str, is_file: Callable[[str], bool] = lambda name: False) -> Lines:
    """The lines that are neither empty nor comments; UserError where that is no table.

    A line in which `is_file` knows a field is no comment, even if it begins like one.
    """
    text, declared = _without_sep(_text(raw))
    first = next((line for line in text.splitlines() if _counts(line)), "")
    delimiter = declared if declared and declared in first else max(_SEPARATORS, key=first.count)
    try:
        if delimiter in first:
            found = enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), 1)
        else:  # names may hold blanks: what stands last is the label
            found = enumerate((line.rsplit(None, 1) for line in text.splitlines()), 1)
        lines = [(n, [field.strip() for field in row]) for n, row in found if any(row)]
    except csv.Error as error:
        raise UserError(f"{name} is no table of labels: {error}; write file,label lines") from error
    head = next((k for k, (_n, row) in enumerate(lines) if _counts(delimiter.join(row))), 0)
    rows = [
        (n, row)
        for n, row in lines[head + 1 :]
        if _counts(delimiter.join(row)) or any(map(is_file, row))
    ]
    return [*lines[head : head + 1], *rows]


def _without_sep(text: str) -> tuple[str, str]:
    """The text without Excel's first line `sep=;`, and the separator of that line ("": there is none)."""
    found = _SEP.match(text)
    return (text[found.end() :], found[1]) if found else (text, "")


def _counts(line: str) -> bool:
    """Whether a line is neither empty nor a comment; a name may begin like one."""
    line = line.strip()
    comment = line.startswith("#") and not any(suffix in line.lower() for suffix in SUFFIXES)
    return bool(line) and not comment


def _text(raw: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "")
    if (
        not encoding and raw
    ):  # two bytes a letter and no mark: Latin letters leave every other byte 0
        zeros = [raw[start:2000:2].count(0) / max(1, len(raw[start:2000:2])) for start in (0, 1)]
        encoding = next(
            (name for share, name in zip(zeros, ("utf-16-be", "utf-16-le"), strict=True)
             if share > 0.4), "",
        )  # fmt: skip
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        text = raw.decode(encoding or "cp1252", errors="replace")
    return text.replace("\0", "")
