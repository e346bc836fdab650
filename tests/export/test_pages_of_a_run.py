"""Tables and film: what a run's own files say, and nothing else."""

import ast
import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

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


def test_looks_inside_the_quantizer_are_rows_with_where_they_were_taken(run, tmp_path):
    seen = {
        "kind": "viewed",
        "stage": "quantization",
        "part": "b",
        "step": 3,
        "form": "codes",
        "what": "a",
        "arrays": {"places": [1.0, 2.0], "counts": [5, None]},
        "values": {"used": 4},
    }
    of = run([{"kind": "run-started", "bn_layers": []}, seen])
    written = {one.path.stem: one.path for one in Tables().write(of, tmp_path)}
    where = {"part": "b", "step": "3", "form": "codes", "what": "a", "used": "4"}
    assert rows(written["views"]) == [
        where | {"at": "0", "places": "1.0", "counts": "5"},
        where | {"at": "1", "places": "2.0", "counts": ""},
    ]


def test_channels_stand_beside_what_batchnorm_remembers(run, tmp_path):
    named = {"kind": "snapshot-saved", "stage": "synthesis", "step": 4, "name": "channels"}
    of = run(
        [{"kind": "run-started", "bn_layers": ["a", "b"]}, named | {"file": "channels-000004.npz"}]
    )
    place = of.folder / "snapshots"
    np.savez(place / "target.npz", offsets=[0, 2, 3], mean=[1.0, 2.0, 3.0], std=[0.5, 0.5, 0.5])
    np.savez(place / "channels-000004.npz", mean=[1.5, 2.5, 3.5], std=[1.0, 1.0, 1.0])
    written = {one.path.stem: one.path for one in Tables().write(of, tmp_path)}
    last = rows(written["channels"])[-1]
    assert (last["layer"], last["channel"]) == ("b", "0")
    assert (last["remembered.mean"], last["images.mean"], last["images.std"]) == (
        "3.0",
        "3.5",
        "1.0",
    )
    assert [row["channel"] for row in rows(written["channels"])] == ["0", "1", "0"]
    (place / "target.npz").write_bytes(b"torn")
    again = {one.path.stem for one in Tables().write(of, tmp_path / "..")}
    assert "channels" not in again


@pytest.mark.parametrize("file", ["image-statistics.npz", "portrait.npz"])
def test_what_the_images_are_like_is_in_tables_and_each_class_by_its_name(run, tmp_path, file):
    of = run([{"kind": "run-started", "bn_layers": []}])
    np.savez(
        of.folder / "snapshots" / file, classes=[2, 0, 2], margin=[0.5, 0.25, 0.125],
        class_probability=[0.25, 0.125, 0.5], class_names=np.array(["shirt", "boot"]),
        features=np.array([[1.0, 2.0], [3.0, 4.0]]), confidence=np.float32(0.75),
    )  # fmt: skip
    written = {one.path.stem: one.path for one in Tables().write(of, tmp_path)}
    name = "image-statistics"
    assert rows(written[f"{name}-images"])[1] == {"at": "1", "classes": "0", "margin": "0.25"}
    named = [
        (row["class_name"], row["class_probability"]) for row in rows(written[f"{name}-classes"])
    ]
    assert named == [("shirt", "0.25"), ("", "0.125"), ("boot", "0.5")]
    assert rows(written[f"{name}-features"])[1] == {
        "at": "1",
        "feature 0": "3.0",
        "feature 1": "4.0",
    }
    assert rows(written[name]) == [{"confidence": "0.75"}]


def test_every_column_that_was_rounded_is_a_row_with_its_layer(run, tmp_path):
    started = {"kind": "run-started", "bn_layers": [], "blocks": [
        {"name": "stem", "layers": ["conv1"]}, {"name": "one", "layers": ["a", "b"]}]}  # fmt: skip
    kept = {"kind": "snapshot-saved", "stage": "quantization", "name": "path", "step": 3,
            "file": "path-001.npz", "values": {"block": 1.0}}  # fmt: skip
    of = run([started, kept, kept | {"file": "path-000.npz", "values": {"block": 0.0}}])
    np.savez(
        of.folder / "snapshots" / "path-001.npz", layer=[0.0, 1.0], column=[0.0, 7.0],
        error=[0.5, 0.25], nearest=[0.5, 0.75],
    )  # fmt: skip
    written = {one.path.stem: one.path for one in Tables().write(of, tmp_path)}
    assert rows(written["columns"]) == [
        {"block": "one", "layer": "a", "column": "0", "error": "0.5", "nearest": "0.5"},
        {"block": "one", "layer": "b", "column": "7", "error": "0.25", "nearest": "0.75"},
    ]


def test_what_was_asked_of_a_run_is_in_its_tables(run, tmp_path):
    chosen = {"kind": "bits-chosen", "weight_bits": {"a": 2, "b": 8}, "activation_bits": {"a": 4},
              "report": {"budget": 9, "front": [{"size": 1, "kl": 0.5}]}}  # fmt: skip
    of = run([chosen])
    answers = {
        "predictions": {
            "sentence": "s", "flipped": [{"image": 3, "margin": {"teacher": 0.5}}],
            "margins": {"teacher": [1, 2], "student": [3, 4]}, "growth": {"layers": ["a", "b"],
            "usual": {"mean": [0.1, 0.2]}}, "pictures": {"3": "data:image/webp;base64,AAAA"},
        },
        "tensors la/yer": {"reads": {"sources": [{"name": "x"}]}},
    }  # fmt: skip
    written = {
        one.path.stem: one.path for one in Tables().write(replace(of, answers=answers), tmp_path)
    }
    assert rows(written["predictions-flipped"]) == [{"image": "3", "margin.teacher": "0.5"}]
    assert rows(written["predictions-margins"])[1] == {"at": "1", "teacher": "2", "student": "4"}
    assert rows(written["predictions-growth-usual"])[0] == {"at": "0", "mean": "0.1"}
    assert rows(written["predictions"])[0]["sentence"] == "s"
    assert "base64" not in "".join(path.read_text() for path in written.values())
    assert rows(written["tensors-la-yer-reads-sources"]) == [{"name": "x"}]
    assert rows(written["bits-chosen-front"]) == [{"size": "1", "kl": "0.5"}]
    assert rows(written["bits-chosen-layers"])[1] == {
        "path": "b",
        "weight_bits": "8",
        "activation_bits": "",
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1", " =1"])
def test_no_text_is_a_formula_to_a_spreadsheet(run, tmp_path, text):
    of = run([{"kind": "noted", "message": text}], {"layers": [{"path": text, "sqnr": -3.5}]})
    written = {one.path.stem: one.path for one in Tables().write(of, tmp_path)}
    assert rows(written["notes"])[0]["message"] == f"'{text}"
    assert rows(written["layers"]) == [{"path": f"'{text}", "sqnr": "-3.5"}]


def test_the_film_has_a_frame_a_picture_and_the_map_grows_beside_it(run, tmp_path):
    pictures = [(1, "red"), (2, "lime"), (3, "blue")]
    events = [e for step, _ in pictures for e in (stepped(step, [step, 9.0]), saved(step))]
    written, *_ = Film().write(run(events, pictures=pictures), tmp_path)
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
    written, *_ = Film().write(run([saved(s) for s, _ in pictures], pictures=pictures), tmp_path)
    with Image.open(written.path) as shown:
        assert shown.n_frames <= 4
        shown.seek(shown.n_frames - 1)
        assert abs(shown.convert("RGB").getpixel((film.EDGE + 100, 290))[0] - 220) < 12


def test_a_run_without_pictures_has_no_film(run, tmp_path):
    with pytest.raises(UserError, match="has saved no pictures"):
        Film().write(run([saved(1)]), tmp_path)


def three(run):
    pictures = [(1, "red"), (2, "lime"), (3, "blue")]
    return run([saved(step) for step, _ in pictures], pictures=pictures)


def test_without_the_encoder_the_film_is_webp_alone_and_names_the_extra(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (written,) = Film().write(three(run), tmp_path)
    assert written.path.suffix == ".webp"
    assert "pip install -r requirements-film.txt" in written.notes[0]
    assert Path("requirements-film.txt").read_text().splitlines()[-1].startswith("imageio-ffmpeg==")


ENCODER = """#!{python}
import sys
data, (width, height) = sys.stdin.buffer.read(), map(int, sys.argv[sys.argv.index("-s") + 1].split("x"))
frames = [data[k : k + 3 * width * height] for k in range(0, len(data), 3 * width * height)]
at = 3 * ((height // 2) * width + 100)
open(sys.argv[-1], "w").write(repr([tuple(one[at : at + 3]) for one in frames]))
"""


def test_the_movie_shows_every_frame_and_holds_the_last(run, tmp_path, monkeypatch):
    program = tmp_path / "encoder"
    program.write_text(ENCODER.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(film, "_encoder", lambda: str(program))
    webp, movie = Film().write(three(run), tmp_path)
    assert (webp.path.name, movie.path.name) == ("toy.film.webp", "toy.film.mp4")
    shown = ast.literal_eval(movie.path.read_text())
    assert shown[:3] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert set(shown[2:]) == {shown[2]}
    assert len(shown) * film.FRAME_MS == 2 * film.FRAME_MS + film.LAST_MS


@pytest.mark.parametrize("body", ["import sys; sys.exit('no such codec')", "0"])
def test_an_encoder_that_breaks_leaves_the_webp_and_a_word(run, tmp_path, monkeypatch, body):
    program = tmp_path / "encoder"
    program.write_text(f"#!{sys.executable}\nopen(__import__('sys').argv[-1], 'w')\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setattr(film, "_encoder", lambda: str(program))
    if body == "0":
        program.write_text(f"#!{sys.executable}\n")
    (written,) = Film().write(three(run), tmp_path)
    assert "could not be written" in written.notes[0]
    assert ("no such codec" in written.notes[0]) is (body != "0")
    assert not (tmp_path / "toy.film.mp4").exists()


def test_the_movie_is_read_by_a_true_decoder(run, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    _, movie = Film().write(three(run), tmp_path)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(movie.path))
    assert frames == 2 + film.LAST_MS // film.FRAME_MS
    assert seconds == pytest.approx(0.2 + film.LAST_MS / 1000, abs=0.15)
    reader = imageio_ffmpeg.read_frames(str(movie.path))
    width, height = next(reader)["size"]
    first = np.frombuffer(next(reader), np.uint8).reshape(height, width, 3).astype(int)
    reader.close()
    assert np.abs(first[height // 2, 100] - (255, 0, 0)).max() < 30
