"""Plain data as tables: what a run and its answers hold, as rows with named columns."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Sheets = dict[str, list[Row]]
_ODD = re.compile(r"[^A-Za-z0-9._-]+")  # in the name of a file
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")  # what a spreadsheet takes a text that begins so for
_PICTURE = "data:"  # an address that holds a picture: nothing for a cell


def as_csv(rows: Sequence[Mapping[Any, Any]]) -> str:
    """The rows as comma-separated values, with every column that one of them has; lists as JSON."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    """A number as it is; a text so that no spreadsheet runs it; nothing for what is not known."""
    if isinstance(value, (list, tuple)):
        return json.dumps(value)
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return "" if value is None or value != value else value


def flat(values: Mapping[str, Any], before: str = "") -> Row:
    """Objects in objects as columns named outer.inner; lists and texts stay cells."""
    row: Row = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            row |= flat(value, f"{name}.")
        elif not (isinstance(value, str) and value.startswith(_PICTURE)):
            row[name] = value
    return row


def sheets(name: str, found: Mapping[str, Any]) -> Sheets:
    """Lists of objects, and lists of one length side by side, each as a table; the rest as one row."""
    tables: Sheets = {}
    plain = _ODD.sub("-", name)[:100]
    rest = _split(plain, found, "", tables)
    return {plain: [rest] if rest else []} | tables


def _split(name: str, found: Mapping[str, Any], before: str, tables: Sheets) -> Row:
    """What of an object belongs into its one row; tables of what does not are added."""
    rest: Row = {}
    for key, value in found.items():
        inner = _ODD.sub("-", f"{name}-{key}")[:100]
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            tables[inner] = [flat(one) for one in value]
        elif isinstance(value, Mapping) and _are_columns(value):
            tables[inner] = side_by_side(value)
        elif isinstance(value, Mapping):
            rest |= _split(inner, value, f"{before}{key}.", tables)
        else:
            rest |= flat({key: value}, before)
    return rest


def _are_columns(found: Mapping[str, Any]) -> bool:
    """Whether all that an object holds are lists of single values, of one length."""
    lengths = {len(one) if isinstance(one, list) else 0 for one in found.values()}
    return (
        len(lengths) == 1
        and max(lengths) > 1
        and not any(isinstance(item, (Mapping, list)) for one in found.values() for item in one)
    )


def side_by_side(columns: Mapping[str, Any]) -> list[Row]:
    """Lists as columns, a row a place; the shorter end with empty cells."""
    longest = max((len(one) for one in columns.values()), default=0)
    return [
        {"at": place}
        | {key: one[place] if place < len(one) else None for key, one in columns.items()}
        for place in range(longest)
    ]


def views(events: Iterable[Row]) -> list[Row]:
    """Looks inside the quantizer: a row a number, with where and when it was seen."""
    rows: list[Row] = []
    for event in events:
        where = {key: event[key] for key in ("part", "step", "form", "what")} | flat(
            event.get("values", {})
        )
        rows += [where | row for row in side_by_side(event["arrays"])]
    return rows
