"""All finished runs as one table: a row a run, recipe and result side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.core.errors import UserError
from engine.export.sheets import flat
from engine.run.folders.folder import RunFolder, list_runs

_LEFT_OUT = ("layers", "right", "folder", "allocation")  # lists and texts that no cell should hold


def write_parquet(runs: Path, file: Path) -> int:
    """Write the table; returns how many runs it has. UserError for none, or what cannot be written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [_row(folder, result) for folder in list_runs(runs) if (result := folder.result())]
    if not rows:
        raise UserError(f"{runs} holds no finished run; let one end first (`python -m engine run`)")
    names = sorted({name for row in rows for name in row})
    columns = {name: _alike([row.get(name) for row in rows]) for name in names}
    try:
        pq.write_table(pa.table(columns), file)
    except OSError as error:
        raise UserError(
            f"{file} cannot be written: {error.strerror or error}; give another file"
        ) from error
    return len(rows)


def _row(folder: RunFolder, result: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: value for name, value in result.items() if name not in _LEFT_OUT}
    return flat({"recipe": asdict(folder.recipe)}) | flat(numbers)


def _alike(values: list[Any]) -> list[Any]:
    """One type for a column: numbers where all are, else texts."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known):
        return values
    if all(isinstance(value, (int, float)) for value in known):
        whole = all(isinstance(value, int) for value in known)
        return values if whole else [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
