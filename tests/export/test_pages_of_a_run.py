"""Tables and film: what a run's own files say, and nothing else."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.export.base import Finished
from engine.export.formats import film
from engine.export.formats.film import Film
from engine.export.formats.tables import Tables


def stepped(step, gap, **more):
    return {"kind": "stepped", "stage": "synthesis", "part": "batch 1", "step": step,
            "losses": {"batchnorm": 1 / step}, "values": {}, "bn_gap": gap} | more  # fmt: skip


def saved(step):
    return {"kind": "snapshot-saved", "stage": "synthesis", "step": step, "name": "images",
            "file": f"images-{step:06d}.webp"}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    def make(events, result=None, pictures=()):
        folder = tmp_path / "run"
        (folder / "snapshots").mkdir(parents=True)
        lines = [json.dumps(event) for event in events]
        (folder / "events.jsonl").write_text("\n".join([*lines, '{"kind":"stepped","torn']))
        for step, colour in pictures:
            file = folder / "snapshots" / f"images-{step:06d}.webp"
            Image.new("RGB", (8, 4), colour).save(file, lossless=True)
        result = {"layers": [], "agreement": 1.0} if result is None else result
        recipe = {"model": "toy", "synthesis": "genie", "model_settings": {"mean": [0.5]}}
        return Finished(run="toy", folder=folder, recipe=recipe, result=result, network=None)

    return make


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_hold_what_the_run_says(run, tmp_path):
    started = {"kind": "run-started", "bn_layers": ["a", "b"]}
    layers = [
        {"path": "a", "weight_bits": 4, "stored_bits": 8},
        {"path": "b", "weight_bits": None, "sqnr": 2.5},
    ]
    result = {"layers": layers, "agreement": 0.5, "seconds": {"synthesis": 3}, "band": [0.1, 0.2]}
    of = run([started, stepped(1, [2.0, 3.0]), stepped(2, None)], result)
    written = {one.path.stem: one.path for one in Tables().write(of, tmp_path)}
    assert rows(written["layers"]) == [
        {"path": "a", "weight_bits": "4", "stored_bits": "8", "sqnr": ""},
        {"path": "b", "weight_bits": "", "stored_bits": "", "sqnr": "2.5"},
    ]
    assert rows(written["result"]) == [
        {"agreement": "0.5", "seconds.synthesis": "3", "band": "[0.1, 0.2]"}
    ]
    assert rows(written["recipe"])[0]["model_settings.mean"] == "[0.5]"
    assert [row["losses.batchnorm"] for row in rows(written["steps"])] == ["1.0", "0.5"]
    (gaps,) = rows(written["gaps"])
    assert (gaps["step"], gaps["a"], gaps["b"]) == ("1", "2.0", "3.0")
    assert "notes" not in written, "an empty table is no file"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1", " =1"])
def test_no_text_is_a_formula_to_a_spreadsheet(run, tmp_path, text):
    of = run([{"kind": "noted", "message": text}], {"layers": [{"path": text, "sqnr": -3.5}]})
    written = {one.path.stem: one.path for one in Tables().write(of, tmp_path)}
    assert rows(written["notes"])[0]["message"] == f"'{text}"
    assert rows(written["layers"]) == [{"path": f"'{text}", "sqnr": "-3.5"}]


def test_the_film_has_a_frame_a_picture_and_the_map_grows_beside_it(run, tmp_path):
    pictures = [(1, "red"), (2, "lime"), (3, "blue")]
    events = [e for step, _ in pictures for e in (stepped(step, [step, 9.0]), saved(step))]
    (written,) = Film().write(run(events, pictures=pictures), tmp_path)
    with Image.open(written.path) as shown:
        assert shown.n_frames == 3
        frames = []
        for k in range(3):
            shown.seek(k)
            frames.append(np.asarray(shown.convert("RGB")).astype(int))
    middle = film.HEAD + film.EDGE + film.SIDE // 2
    for frame, colour in zip(frames, [(255, 0, 0), (0, 255, 0), (0, 0, 255)], strict=True):
        assert np.abs(frame[middle, film.EDGE + 100] - colour).max() < 30
    left = film.SIDE + 2 * film.EDGE
    columns = [left + film.MAP * (2 * k + 1) // 6 for k in range(3)]  # of the steps 1, 2, 3
    unseen = [[bool(np.abs(f[middle - 100, c] - 225).max() < 12) for c in columns] for f in frames]
    assert unseen == [[False, True, True], [False, False, True], [False, False, False]]


def test_many_pictures_are_thinned_and_the_last_one_stays(run, tmp_path, monkeypatch):
    monkeypatch.setattr(film, "MOST_FRAMES", 3)
    pictures = [(step, (step * 20, 0, 0)) for step in range(1, 12)]
    (written,) = Film().write(run([saved(s) for s, _ in pictures], pictures=pictures), tmp_path)
    with Image.open(written.path) as shown:
        assert shown.n_frames <= 4
        shown.seek(shown.n_frames - 1)
        assert abs(shown.convert("RGB").getpixel((film.EDGE + 100, 290))[0] - 220) < 12


def test_a_run_without_pictures_has_no_film(run, tmp_path):
    with pytest.raises(UserError, match="has saved no pictures"):
        Film().write(run([saved(1)]), tmp_path)
