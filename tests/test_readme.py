"""The front door says what is true: its Python runs, its picture and its folders are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.models.card import ASSETS
from engine.run.benches.effects.verdicts import QUANTIZER_FILE, read, verdict_of
from tests.few_images import few_images
from tests.known_catalog import know_catalog

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_five_lines_of_python_run_as_they_stand(tmp_path):
    """As they stand, but for a smaller budget and fewer images to judge with."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    data = few_images(tmp_path / "data")
    know_catalog(tmp_path / "runs")
    small = 'images=8, synthesis_settings={"steps": 3}, quantization_settings={"steps": 2}, preset="quick"'
    small += f', data="{data}"'
    assert 'preset="quick"' in code
    done = subprocess.run(
        [sys.executable, "-c", code.replace('preset="quick"', small)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "QUANTOSCOPE_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "RunFinished" in done.stdout
    assert 0 <= float(done.stdout.splitlines()[-1]) <= 1


def test_every_picture_and_room_it_names_is_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file(), picture
    rooms = re.findall(r"^ {4}(?: {2})?(\w+)/ ", README, re.MULTILINE)
    assert {"app", "engine", "assets", "tests"} <= set(rooms)
    for room in rooms:
        assert any((ROOT / top / room).is_dir() for top in ("", "app", "engine")), room


def test_what_is_said_of_the_claims_is_what_their_file_says() -> None:
    result = read(ASSETS, QUANTIZER_FILE)
    assert result is not None
    rows = result["claims"]
    bytes_of = [row for row in rows if row["name"].startswith("storage")]
    held, of_bytes = ([verdict_of(row).always for row in some] for some in (rows, bytes_of))
    assert f"of {len(held)} claims measured {sum(held)} held in each of three seeds" in README
    assert f"({len(of_bytes)} of them about bytes, of which {sum(of_bytes)} held)" in README


def test_what_is_said_of_the_files_is_what_their_table_says() -> None:
    lines = re.findall(r"^\| ([^|]+ W\dA\d) \| (.* of \d.*) \|$", README, re.MULTILINE)
    rows = {name: [cell.strip() for cell in cells.split("|")] for name, cells in lines}
    assert len(rows) == 26
    times = [float(cells[-1]) / float(cells[-2]) for cells in rows.values()]
    said = re.search(r"takes ([\d.]+) to ([\d.]+) times the float file's time", README)
    assert said is not None
    assert said.groups() == (f"{min(times):.1f}", f"{max(times):.1f}")
    exact = [cells[0].startswith("100.00 %") for name, cells in rows.items() if name.endswith("A8")]
    assert f"is reached in {sum(exact)} of {len(exact)} rows" in README
    assert "Every image that differs does so by a tie" in README
    assert all(cells[1] == cells[2] for cells in rows.values()), "differ, by a tie"
