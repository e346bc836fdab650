"""Tables of labels as programs write them: in any encoding, with any separator, with a head or without."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import UserError
from engine.data.labelling.lines import Lines, lines_of
from engine.data.names import looks_like_image, printable

FILE_TITLES = ("file", "filename", "file_name", "filepath", "path", "image", "image_name",
               "image_id", "img", "name", "id")  # fmt: skip
LABEL_TITLES = ("label", "labels", "class", "class_id", "class_index", "target", "category", "y",
                "class_name")  # fmt: skip
HALVES_TITLES = ("split", "set", "subset", "partition")
_LEARNT_FROM = {"train", "training"}
_HALVES = {"test", "testing", "val", "valid", "validation", "dev", *_LEARNT_FROM}
MOST_BYTES = 2**28
MOST_SEEN = 2**16  # bytes from which it is told whether a file is a table of labels
_YES, _NO = ("1", "1.0", "true"), ("0", "0.0", "false")  # in small letters


class Row(NamedTuple):
    """What a line says: a file's name, and a label as it is written."""

    where: str  # for messages
    name: str
    label: str


class Table(NamedTuple):
    """The rows of a table, and what the columns are called where each stands for a class."""

    rows: list[Row]
    columns: list[str]  # of a one-hot table, in order; else empty
    note: str = ""  # on what else it says and nobody follows


class _Columns(NamedTuple):
    file: int
    label: int | None  # None: each of `classes` is a class of its own
    classes: tuple[int, ...] = ()


def read_table(file: Path, is_file: Callable[[str], bool]) -> Table:
    """The file and label of each line; UserError, which names the line, for what is no such table.

    `is_file` tells whether a name is one of the images: a line that begins with # may be a row.
    """
    name = printable(file.name)
    if file.stat().st_size > MOST_BYTES:
        raise UserError(f"{name} is too large for a table of labels; give at most 256 MB")
    lines = lines_of(file.read_bytes(), name, is_file)
    if not lines:
        raise UserError(f"{name} is empty; write file,label lines, or remove it")
    columns, has_head = _columns(lines, name)
    head, rows = (lines[0][1] if has_head else []), lines[has_head:]
    if not rows:
        raise UserError(
            f"{name} holds nothing below its head; write file,label lines, or remove it"
        )
    _check_width(lines, name)
    note = _note_on_halves(head, rows, name, columns)
    if columns.label is not None:
        found = [_row(name, n, row, columns.file, columns.label) for n, row in rows]
        return Table(found, [], note)
    names = {at: head[at] if head else str(k) for k, at in enumerate(columns.classes)}
    found = [_one_hot(name, n, row, columns.file, names) for n, row in rows]
    return Table(found, list(names.values()), note)


def is_table(file: Path) -> bool:
    """Whether the beginning of a file says by its head that it is a table of files and labels."""
    try:
        with file.open("rb") as opened:
            seen = opened.read(MOST_SEEN)
        lines = lines_of(seen, file.name)
        if len(seen) == MOST_SEEN:
            lines.pop()  # which is cut off
        return bool(lines) and _columns(lines, file.name)[1]
    except (OSError, UserError):
        return False


def _columns(lines: Lines, name: str) -> tuple[_Columns, bool]:
    """What the columns hold, and whether the first line is a head."""
    first = lines[0][1]
    low = [title.lower() for title in first]
    file = next((low.index(title) for title in FILE_TITLES if title in low), None)
    label = next((low.index(title) for title in LABEL_TITLES if title in low), None)
    if any(map(looks_like_image, first)) or (file is None and label is None):
        return _without_head(lines, name), False
    others = [at for at in range(len(first)) if at not in (file, label)]
    if file is None and len(others) == 1:
        file = others[0]
    if label is None and len(others) == 1:
        label = others[0]
    if file is not None and label is not None:
        return _Columns(file, label), True
    if file is not None:
        binary = tuple(at for at in others if first[at] and _is_binary(at, lines[1:]))
        if len(binary) > 1:
            return _Columns(file, None, binary), True
    missing = "label" if file is not None else "file"
    raise UserError(
        f"{name} has the columns {', '.join(first)[:200]}, and none of {missing}s; call one {missing!r}"
    )


def _without_head(lines: Lines, name: str) -> _Columns:
    first = lines[0][1]
    file = next((at for at, field in enumerate(first) if looks_like_image(field)), 0)
    others = [at for at in range(len(first)) if at != file]
    if len(others) <= 1:
        return _Columns(file, others[0] if others else 1)
    if all(_is_binary(at, lines) for at in others):
        return _Columns(file, None, tuple(others))
    raise UserError(
        f"{name} has {len(first)} columns and no head; name the columns file and label in its first line"
    )


def _is_binary(at: int, lines: Sequence[tuple[int, list[str]]]) -> bool:
    return all(at < len(row) and row[at].lower() in (*_YES, *_NO) for _n, row in lines)


def _note_on_halves(head: list[str], rows: Lines, name: str, columns: _Columns) -> str:
    """That the rows are of several halves of a set, or of the one that is trained on; "" where not.

    None is chosen here: which of them a network has seen only its owner knows.
    """
    for at, title in enumerate(head):
        if title.lower() not in HALVES_TITLES or at == columns.label:
            continue
        values = {row[at] for _n, row in rows if at < len(row)}
        low = {value.lower() for value in values}
        if low & _LEARNT_FROM or (low & _HALVES and len(low) > 1):
            some = ", ".join(value[:20] for value in sorted(values)[:4])
            return (
                f"{name} has a column {title!r} ({some}), which is not followed: its rows are all used; keep "
                "only the test rows to judge on images not trained on."
            )
    return ""


def _check_width(lines: Lines, name: str) -> None:
    """UserError for a row that goes on behind the last column, whose fields may all be one off."""
    width = max(len(lines[0][1]), 2)
    for number, row in lines:
        behind = [at for at, field in enumerate(row, 1) if field and at > width]
        if behind:
            raise UserError(
                f"{name} line {number} has {behind[-1]} fields, and the table {width} columns; take out what "
                "is too much, or put a name that holds a separator in quotes"
            )


def _row(table: str, number: int, row: list[str], at: int, label_at: int) -> Row:
    where = f"{table} line {number}"
    name, label = (row[i] if i < len(row) else "" for i in (at, label_at))
    if not label:
        raise UserError(f"{where} is {','.join(row)!r}; it must be a file name and a class number")
    return Row(where, name, label)


def _one_hot(table: str, number: int, row: list[str], at: int, names: dict[int, str]) -> Row:
    where = f"{table} line {number}"
    marked = [name for k, name in names.items() if row[k].lower() in _YES]
    if len(marked) != 1:
        which = f" ({', '.join(marked[:3])})" if marked else ""
        raise UserError(
            f"{where} marks {len(marked)} of its {len(names)} classes{which}; top-1 needs one an image: "
            "write one column 'label'"
        )
    return Row(where, row[at] if at < len(row) else "", marked[0])
