"""What a page's first and second draw take, without a browser: `python -m app.page_times RUN`, as JSON."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "Start": ("start", {}),
    "Networks": ("networks", {}),
    "Run, Images": ("run", {"tab": "images"}),
    "Run, Layers": ("run", {"tab": "layers"}),
    "Run, Answers": ("run", {"tab": "answers"}),
    "Runs": ("runs", {}),
    "Evidence": ("evidence", {}),
}


def page_times(run: str) -> list[dict[str, Any]]:
    """{"work", "cpu_s", "wall_s"} of every page, twice each."""
    rows = []
    for title, (view, params) in PAGES.items():
        for draw in ("first", "second"):
            cpu_s, wall_s = _draw(view, params | ({"run": run} if view == "run" else {}))
            rows.append({"work": f"{draw} draw of {title}", "cpu_s": cpu_s, "wall_s": wall_s})
    return rows


def _draw(view: str, params: dict[str, str]) -> tuple[float, float]:
    """Seconds of the processor and by the clock, in a new session."""
    at = AppTest.from_file(str(Path(__file__).parent / "main.py"), default_timeout=600)
    cpu, wall = time.process_time(), time.perf_counter()
    if view != "start":
        at.run()
        for name, value in params.items():
            at.query_params[name] = value
        cpu, wall = time.process_time(), time.perf_counter()
        at.switch_page(f"views/{view}.py")
    at.run()
    took = time.process_time() - cpu, time.perf_counter() - wall
    if at.exception:
        raise SystemExit(f"{view}: {at.exception[0].message}")
    return took


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(page_times(sys.argv[1]))}\n")
