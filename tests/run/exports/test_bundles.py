"""Bundles: a run goes to another folder whole, and what a stranger made up is refused in one line."""

import contextlib
import dataclasses
import io
import json
import shutil
import stat
import struct
import zipfile
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from engine.__main__ import main
from engine.core.errors import UserError
from engine.export.formats.bundle import VERSION
from engine.run.exports.export import export
from engine.run.exports.opening import open_bundle
from engine.run.folders.folder import RunFolder, list_runs
from engine.run.questions.before_a_run.finished import is_alike
from engine.run.questions.costs.analyse import analyse
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """A finished tiny run and its bundle; made once."""
    place = tmp_path_factory.mktemp("bundled")
    with pytest.MonkeyPatch.context() as patch:
        only_the_toy(patch, place)
        recipe = dataclasses.replace(RECIPE, quantization="nearest", quantization_settings={})
        folder = begun(place / "runs", recipe)
        work(folder)
        (found,) = export(folder, ["bundle"], place / "out")["files"]
    return folder, place / "out" / f"{folder.run_id}.zsq", found


def test_a_bundle_opened_elsewhere_is_the_run_as_it_was_drawn(bundled, tmp_path):
    folder, bundle, found = bundled
    assert found["kind"] == "bundle"
    opened = open_bundle(bundle, tmp_path)
    assert opened.path == tmp_path / f"{folder.run_id}_opened"
    assert list(opened.events()) == list(folder.events())
    assert opened.recipe == folder.recipe
    mine, theirs = folder.result(), opened.result()
    assert theirs.pop("opened_from") == bundle.name
    assert theirs.pop("run") == opened.run_id
    assert {**mine, "folder": ""} == {**theirs, "folder": "", "run": folder.run_id}
    files = {p.name: p.read_bytes() for p in folder.snapshots.iterdir()}
    assert {p.name: p.read_bytes() for p in opened.snapshots.iterdir()} == files
    assert len(files) >= 4
    assert [p.name for p in tmp_path.iterdir()] == [opened.run_id], "nothing is left beside it"


def test_an_opened_run_is_only_looked_at(bundled, tmp_path):
    folder, bundle, _ = bundled
    opened = open_bundle(bundle, tmp_path)
    with pytest.raises(UserError, match="came in a bundle"):
        analyse(opened)
    with pytest.raises(UserError, match="has kept no network"):
        export(opened, ["codes"])
    assert is_alike(folder, folder.recipe)
    assert not is_alike(opened, folder.recipe), "another machine's seconds say nothing of this one"
    with pytest.raises(UserError, match=r"already, as .*_opened; delete that first"):
        open_bundle(bundle, tmp_path)
    again = export(opened, ["bundle"], tmp_path / "out")["files"][0]["path"]
    assert open_bundle(tmp_path / "out" / again, tmp_path / "third").run_id == opened.run_id


@pytest.mark.parametrize("first", ["opened", "own"])
def test_an_opened_run_and_the_run_of_its_recipe_stand_side_by_side(bundled, tmp_path, first):
    folder, bundle, _ = bundled
    runs = tmp_path / "runs"
    runs.mkdir()
    if first == "opened":
        opened = open_bundle(bundle, runs)
        before = {p: p.read_bytes() for p in opened.path.rglob("*") if p.is_file()}
    own = begun(runs, folder.recipe)
    assert own.result() is None, "what was opened is not taken for what was computed here"
    own.finish({k: v for k, v in folder.result().items() if k not in ("run", "folder")})
    if first == "own":
        opened = open_bundle(bundle, runs)
        before = {p: p.read_bytes() for p in opened.path.rglob("*") if p.is_file()}
    assert {one.run_id for one in list_runs(runs)} == {own.run_id, opened.run_id}
    assert "opened_from" not in own.result()
    assert opened.result()["opened_from"] == bundle.name
    assert {p: p.read_bytes() for p in opened.path.rglob("*") if p.is_file()} == before
    opened.delete()
    assert own.result() is not None


def test_a_run_that_an_older_engine_opened_in_the_place_of_its_recipes_run_says_the_way_out(
    bundled, tmp_path
):
    folder, bundle, _ = bundled
    opened = open_bundle(bundle, tmp_path)
    opened.path.rename(tmp_path / folder.run_id)
    assert RunFolder.open(tmp_path, folder.run_id).result() is not None, "it can be looked at"
    with pytest.raises(UserError, match=f"rename it to {opened.run_id}, or delete it"):
        begun(tmp_path, folder.recipe)
    (tmp_path / folder.run_id).rename(opened.path)
    assert begun(tmp_path, folder.recipe).result() is None


def test_the_command_opens_a_bundle_and_refuses_in_one_line(bundled, tmp_path, capsys):
    folder, bundle, _ = bundled
    words = ["open", str(bundle), "--runs", str(tmp_path / "runs"), "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["run"] == f"{folder.run_id}_opened"
    (tmp_path / "no.zsq").write_bytes(b"PK")
    assert main(["open", str(tmp_path / "no.zsq"), "--runs", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "no readable archive" in said[0]


# --- bundles that were made up ------------------------------------------------------------------


class Forged:
    """A bundle's files, changed; the manifest fits them unless it is changed itself."""

    def __init__(self, bundle):
        with zipfile.ZipFile(bundle) as archive:
            self.files = {i.filename: archive.read(i) for i in archive.infolist()}
        self.manifest = json.loads(self.files.pop("manifest.json"))
        self.extra = []  # (ZipInfo, data): entries as no honest writer makes them
        self.fits, self.raw = True, None
        self.tail = lambda data: data

    def name(self, suffix):
        return next(n for n in self.files if n.endswith(suffix))

    def edit(self, name, change):
        found = json.loads(self.files[name])
        change(found)
        self.files[name] = json.dumps(found).encode()

    def event(self, **fields):
        self.files["events.jsonl"] += json.dumps(fields).encode() + b"\n"

    def write(self, path):
        if self.fits:
            names = [*self.files, *(info.filename for info, _ in self.extra)]
            data = {**self.files, **{info.filename: d for info, d in self.extra}}
            self.manifest["files"] = {
                n: {"bytes": len(data[n]), "sha256": sha256(data[n]).hexdigest()} for n in names
            }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            raw = json.dumps(self.manifest).encode() if self.raw is None else self.raw
            if raw:
                archive.writestr("manifest.json", raw)
            for name, data in self.files.items():
                archive.writestr(name, data)
            for info, data in self.extra:
                archive.writestr(info, data)
        path.write_bytes(self.tail(path.read_bytes()))


def entry(name, data=b"x", mode=stat.S_IFREG | 0o644, **fields):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for key, value in fields.items():
        setattr(info, key, value)
    return lambda f: f.extra.append((info, data))


def manifest(**changes):
    return lambda f: f.manifest.update(changes)


def unfitting(change):
    def forge(f):
        f.fits = False
        change(f)

    return forge


def put(name, data):
    return lambda f: f.files.update({name: data})


def drop(name):
    return lambda f: f.files.pop(name)


def arrays(**values):
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


def picture(form="WEBP", size=(8, 8), mode="RGB", **options):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form, **options)
    return buffer.getvalue()


def moving():
    other = Image.new("RGB", (8, 8), "red")
    return picture(save_all=True, append_images=[other], duration=50)


def npy_bomb():
    """An array file whose head claims far more values than there are."""
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"
    head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    return buffer.getvalue()


def unpacks(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.npy", data)
    return buffer.getvalue()


def tail(change):
    return lambda f: setattr(f, "tail", change)


def event(**fields):
    return lambda f: f.event(time_s=1.0, **fields)


STEPPED = {"kind": "stepped", "stage": "synthesis", "part": "0", "step": 1, "losses": {}}
SAVED = {"kind": "snapshot-saved", "stage": "synthesis", "step": 1, "name": "images"}
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


def flagged(data):
    """The bit that says "encrypted", set in the directory's every entry."""
    parts = data.split(b"PK\x01\x02")
    return b"PK\x01\x02".join([parts[0], *(p[:4] + b"\x01" + p[5:] for p in parts[1:])])


FORGERIES = {
    # the archive
    "empty": tail(lambda data: b""),
    "text": tail(lambda data: b"<html>no archive</html>"),
    "cut in the middle": tail(lambda data: data[: len(data) // 2]),
    "its end is gone": tail(lambda data: data[:-30]),
    "its beginning is gone": tail(lambda data: data[2000:]),
    "bytes turned": tail(lambda data: data[:300] + bytes(255 - b for b in data[300:400]) + data[400:]),
    "encrypted": tail(flagged),
    "packed as bundles are not": entry("snapshots/a.webp", picture(), compress_type=zipfile.ZIP_BZIP2),
    "lzma": entry("snapshots/a.webp", picture(), compress_type=zipfile.ZIP_LZMA),
    "unpacks to far more": put("snapshots/a.npz", b"\0" * 2**23),
    "events that unpack to far more": put("events.jsonl", b"\n" * 2**24),
    "too large a picture file": put("snapshots/a.webp", np.random.default_rng(0).bytes(2**24 + 1)),
    "too many files": lambda f: f.files.update({f"snapshots/a{k}.webp": b"" for k in range(5001)}),
    # names
    "up and out": entry("../evil.txt"),
    "up from inside": entry("snapshots/../../evil.webp"),
    "absolute": entry("/tmp/evil.webp"),
    "a drive": entry("C:/evil.webp"),
    "backslashes": entry("snapshots\\evil.webp"),
    "a folder": entry("snapshots/", b""),
    "deeper": entry("snapshots/more/a.webp"),
    "a hidden file": entry("snapshots/.a.webp"),
    "a checkpoint": entry("checkpoint"),
    "weights": entry("blocks/000.safetensors"),
    "a script": entry("snapshots/a.py"),
    "a page": entry("snapshots/a.html"),
    "a pickle": entry("snapshots/a.pkl"),
    "a status": entry("status.json", b"{}"),
    "the mark of opened ones": entry("opened.json", b"{}"),
    "a null in its name": tail(lambda data: data.replace(b"recipe.json", b"recipe.j\0on")),
    "a very long name": entry(f"snapshots/{'a' * 200}.webp", picture()),
    "a link": entry("snapshots/a.webp", b"/etc/passwd", mode=stat.S_IFLNK | 0o777),
    "a device": entry("snapshots/a.webp", picture(), mode=stat.S_IFCHR | 0o666),
    "a pipe": entry("snapshots/a.webp", picture(), mode=stat.S_IFIFO | 0o666),
    "two of one name": lambda f: f.extra.append((zipfile.ZipInfo("recipe.json"), f.files["recipe.json"])),
    "two that differ in case": lambda f: f.files.update({f"snapshots/{a}.webp": picture() for a in "aA"}),
    # the manifest
    "no manifest": lambda f: setattr(f, "raw", b""),
    "a manifest that is no JSON": lambda f: setattr(f, "raw", b"{"),
    "a manifest that is a list": lambda f: setattr(f, "raw", b"[]"),
    "a manifest without end": lambda f: setattr(f, "raw", b"[" * 100_000),
    "another's manifest": manifest(kind="something-else"),
    "no version": manifest(version=None),
    "a version that is a word": manifest(version="1"),
    "a newer version": manifest(version=VERSION + 1),
    "no run": manifest(run=None),
    "a run that leads out": manifest(run="../evil"),
    "a run that is none": manifest(run="a b"),
    "another run": manifest(run="resnet20-fashion_noise_nearest_w4a4_00000000"),
    "a file too many": unfitting(put("snapshots/b.webp", picture())),
    "a file too few": unfitting(lambda f: f.files.pop(f.name(".webp"))),
    "another sha256": unfitting(lambda f: f.manifest["files"]["result.json"].update(sha256="0" * 64)),
    "changed afterwards": unfitting(lambda f: f.edit("result.json", lambda r: r.update(quantized_top1=1.0))),
    "facts that are none": unfitting(lambda f: f.manifest["files"].update({"result.json": 3})),
    # what the files hold
    "no recipe": drop("recipe.json"),
    "no events": drop("events.jsonl"),
    "no result": drop("result.json"),
    "a recipe that is none": put("recipe.json", b"{}"),
    "a recipe with more in it": lambda f: f.edit("recipe.json", lambda r: r.update(command="rm")),
    "a recipe of other types": lambda f: f.edit("recipe.json", lambda r: r.update(weight_bits="4")),
    "the recipe of another run": lambda f: f.edit("recipe.json", lambda r: r.update(seed=99)),
    "a result that is a list": put("result.json", b"[]"),
    "a result that is none": put("result.json", b"{}"),
    "a result without end": put("result.json", DEEP),
    "an analysis that is none": put("analysis.json", b"\xff\xfe"),
    "an analysis of nothing": put("analysis.json", b"{}"),
    "an analysis of words": put("analysis.json", json.dumps(
        {"images": 8, "test_set": "t", "kl": 0.5, "layers": [{"path": "a", "kl_gain": "1"}]}).encode()),
    "events that are none": put("events.jsonl", b"not JSON\n"),
    "events without end": put("events.jsonl", DEEP + b"\n"),
    "an event that is a number": put("events.jsonl", b"7\n"),
    "a step that is a word": event(**STEPPED | {"step": "1"}),
    "a loss that is a list": event(**STEPPED | {"losses": {"a": [1]}}),
    "a stage that is an object": event(**STEPPED | {"stage": {"a": 1}}),
    "an event with more in it": event(**STEPPED | {"onclick": "alert(1)"}),
    "an event of no kind's name": event(**STEPPED | {"bn_gap": ["<script>"]}),
    "a frame that is not there": event(**SAVED, file="images-999999.webp"),
    "a frame that leads out": event(**SAVED, file="../recipe.json"),
    "a very long event": event(kind="noted", message="a" * 2**23),
    "arrays that are none": put("snapshots/a.npz", b"PK"),
    "arrays of objects": lambda f: f.files.update({"snapshots/a.npz": arrays(a=np.array([{}], object))}),
    "an array that claims too much": put("snapshots/a.npz", npy_bomb()),
    "arrays that unpack to far more": put("snapshots/a.npz", unpacks(b"\0" * 2**27)),
    "arrays of another kind": put("snapshots/a.npz", unpacks(b"\x80\x04cos\nsystem\n.")),
    "a page as a picture": put("snapshots/a.webp", b"<script>alert(1)</script>"),
    "a picture cut short": put("snapshots/a.webp", picture(size=(64, 64))[:40]),
    "a picture of another kind": put("snapshots/a.webp", picture("PNG")),
    "a film as a frame": put("snapshots/a.webp", moving()),
    "a picture of too many pixels": put("snapshots/a.png", picture("PNG", (9000, 9000), "1")),
}  # fmt: skip


def test_there_are_sixty_and_more_ways():
    assert len(FORGERIES) >= 60


@pytest.mark.parametrize("name", FORGERIES)
def test_a_damaged_or_hostile_bundle_is_refused_in_one_line_and_leaves_nothing(
    bundled, tmp_path, name
):
    forged = Forged(bundled[1])
    FORGERIES[name](forged)
    path, runs = tmp_path / "forged.zsq", tmp_path / "inside" / "runs"
    runs.mkdir(parents=True)
    warned = pytest.warns(UserWarning, match="Duplicate name")
    with warned if name == "two of one name" else contextlib.nullcontext():
        forged.write(path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(UserError) as refused:
        open_bundle(path, runs)
    said = str(refused.value)
    assert "forged.zsq" in said
    assert "\n" not in said
    assert len(said) < 400
    assert list(runs.iterdir()) == []
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_result_cannot_say_that_it_lies_elsewhere(bundled, tmp_path):
    forged = Forged(bundled[1])
    forged.edit("result.json", lambda r: r.update(folder="/etc", run="x", opened_from=""))
    forged.write(tmp_path / "forged.zsq")
    opened = open_bundle(tmp_path / "forged.zsq", tmp_path / "runs")
    said = {key: opened.result()[key] for key in ("folder", "run", "opened_from")}
    assert said == {"folder": str(opened.path), "run": opened.run_id, "opened_from": "forged.zsq"}


def test_the_honest_bundle_passes_through_the_same_hands(bundled, tmp_path):
    """So that a forgery is refused for what was forged, and not for how it was packed."""
    forged = Forged(bundled[1])
    forged.event(time_s=1.0, kind="of-a-later-version", anything=[1])
    forged.write(tmp_path / "same.zsq")
    assert open_bundle(tmp_path / "same.zsq", tmp_path / "runs").result()["agreement"] is not None


def test_a_bundle_of_the_first_version_still_opens(bundled, tmp_path):
    forged = Forged(bundled[1])
    forged.manifest["version"] = 1
    forged.write(tmp_path / "old.zsq")
    opened = open_bundle(tmp_path / "old.zsq", tmp_path / "runs")
    assert list(opened.events()) == list(bundled[0].events())


@pytest.mark.parametrize("kind", ["folder", "link to a device", "nothing"])
def test_what_is_no_regular_file_is_refused(tmp_path, kind):
    path = tmp_path / "b.zsq"
    if kind == "folder":
        path.mkdir()
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match="bundle"):
        open_bundle(path, tmp_path / "runs")


def test_a_run_whose_folder_holds_other_files_takes_none_of_them_along(bundled, tmp_path):
    shutil.copytree(bundled[0].path, tmp_path / bundled[0].run_id)
    folder = RunFolder(tmp_path / bundled[0].run_id)
    (folder.path / "secret.txt").write_text("mine")
    (folder.snapshots / "evil name.webp").write_bytes(b"")
    export(folder, ["bundle"], tmp_path)
    with zipfile.ZipFile(tmp_path / f"{folder.run_id}.zsq") as archive:
        names = archive.namelist()
    assert not any("secret" in n or "evil" in n or "blocks" in n for n in names)
