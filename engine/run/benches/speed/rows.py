"""Measured rows as a table for a person, each figure beside its goal."""

from typing import Any

from engine.core.percent import percent

# (bench, network or "", work, over or "") -> (column, what it is to be at most)
GOALS: dict[tuple[str, str, str, str], tuple[str, float]] = {
    ("synthesis", "resnet20-fashion", "step", "bare pass"): ("cpu", 1.5),
    ("synthesis", "resnet20-fashion", "step", "published loop"): ("cpu", 0.40),
    ("synthesis", "resnet20-fashion", "step, bfloat16", "bare pass"): ("cpu", 1.3),
    ("synthesis", "efficientnet-lite0", "step", "bare pass"): ("cpu", 1.8),
    ("synthesis", "efficientnet-lite0", "step, lean generator", "bare pass"): ("cpu", 1.8),
    ("reconstruction", "resnet20-fashion", "step", "bare block"): ("cpu", 1.6),
    ("reconstruction", "resnet20-fashion", "step", "published loop"): ("cpu", 0.55),
    ("end-to-end", "resnet20-fashion", "command to accuracy", ""): ("wall_s", 45.0),
    ("end-to-end", "resnet20-fashion", "until the worker's first event", ""): ("wall_s", 3.0),
    ("app", "", "first catalogue", ""): ("cpu_s", 1.0),
}
HEAD = ("bench", "work", "over", "processor", "clock", "seconds", "MB", "goal")


def cells(name: str, result: dict[str, Any]) -> list[tuple[str, ...]]:
    """The rows of a bench's result as text, in the columns of HEAD."""
    return [_cells(name, row) for row in result["rows"]]


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    network, over = row.get("network", ""), row.get("over", "")
    images = f", {row['images']} images" if "images" in row else ""
    where = f"{row['work']} ({network}{images})" if network else row["work"]
    return (
        name, where, over, _ratio(row.get("cpu")), _ratio(row.get("wall")), _seconds(row),
        _memory(row), _goal(GOALS.get((name, network, row["work"], over)), row),
    )  # fmt: skip


def _ratio(spread: dict[str, float] | None) -> str:
    if spread is None:
        return ""
    return f"{spread['median']:.2f} ({spread['low']:.2f} to {spread['high']:.2f})"


def _seconds(row: dict[str, Any]) -> str:
    """What was said before, the processor's, those of the clock; whichever are known."""
    told = [("said_s", "said"), ("cpu_s", "cpu"), ("wall_s", "clock")]
    return ", ".join(f"{_short(row[key])} {word}" for key, word in told if key in row)


def _short(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.1f} s"


def _memory(row: dict[str, Any]) -> str:
    if row.get("peak_mb") is None:
        return ""
    if "said_mb" in row:
        return f"{row['said_mb']:.0f} said, {row['peak_mb']:.0f}"
    before = f", {row['ready_mb']:.0f} before" if "ready_mb" in row else ""
    beside = f" against {row['of_peak_mb']:.0f}" if "of_peak_mb" in row else ""
    return f"{row['peak_mb']:.0f}{beside}{before}"


def _goal(goal: tuple[str, float] | None, row: dict[str, Any]) -> str:
    if goal is None:
        return ""
    column, most = goal
    value = row[column]["median"] if isinstance(row[column], dict) else row[column]
    unit = " s" if column.endswith("_s") else ""
    return f"{most:g}{unit}: {'met' if value <= most else 'missed'}"


def head(result: dict[str, Any]) -> str:
    """The command, what it was measured on, and what there is to say of all rows together."""
    words = f"`{result['command']}`: {machine_words(result['machine'])}"
    if "top1" in result:
        words += f"; {percent(result['top1'], 2)} top-1"
    for name in ("time", "memory"):
        if name in result:
            one = result[name]
            words += f"; {name}: {one['within']} of {one['of']} estimates within 1.5 times"
    return words


def machine_words(machine: dict[str, Any]) -> str:
    """What it was measured on, in a line."""
    load = machine["load"]
    busy = "" if load is None else f", {load:.1f} processes at work"
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''} used{busy}"
    )
