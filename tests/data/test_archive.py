"""A zip archive is unpacked without harm, or refused in one line with nothing left behind."""

import errno
import io
import random
import stat
import struct
import zipfile

import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.data import archive as archives
from engine.data.archive import LEFT_OUT, inner_folder, unpack
from engine.data.images import open_folder

SPACE = {"image_shape": (3, 4, 4), "mean": (0.0,) * 3, "std": (1.0,) * 3, "resize": 4}


def png():
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "png")
    return out.getvalue()


def pack(path, entries, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, content in entries:
            if name:
                file.writestr(name, content)
            else:  # which zipfile itself cannot write at once
                with file.open(zipfile.ZipInfo(""), "w") as out:
                    out.write(content)
    return path


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_images_and_tables_come_out_and_the_rest_is_left_and_told(tmp_path):
    entries = [("set/a.png", png()), ("set/labels.csv", "a.png,1"), ("set/.DS_Store", "x"),
               ("__MACOSX/set/a.png", "x"), ("set/run.sh", "rm"), ("set/b/", "")]  # fmt: skip
    left = unpack(pack(tmp_path / "x.zip", entries), tmp_path / "out")
    assert names(tmp_path / "out") == ["set/a.png", "set/labels.csv"]
    assert left == ["set/.DS_Store", "__MACOSX/set/a.png", "set/run.sh"]
    assert inner_folder(tmp_path / "out") == tmp_path / "out/set"


@pytest.mark.parametrize(
    "name", ["../a.png", "a/../../b.png", "/etc/a.png", "C:/a.png", "..\\a.png"]
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    file = pack(tmp_path / "x.zip", [("good.png", png()), (name, png())])
    with pytest.raises(UserError, match="leads out of its folder"):
        unpack(file, tmp_path / "deep/out")
    assert not (tmp_path / "deep").exists()
    assert names(tmp_path) == ["x.zip"]


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UserError, match=r"a link, 'a\.png'"):
        unpack(pack(tmp_path / "x.zip", [(link, "/etc/passwd")]), tmp_path / "out")


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    bomb = pack(tmp_path / "x.zip", [("a.png", bytes(3_000_000))], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="as no image does"):
        unpack(bomb, tmp_path / "out")
    monkeypatch.setattr(archives, "MOST_BYTES", 100)
    with pytest.raises(UserError, match="give at most 100"):
        unpack(pack(tmp_path / "y.zip", [("a.png", bytes(101))]), tmp_path / "out")
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    with pytest.raises(UserError, match="holds 3 files"):
        unpack(pack(tmp_path / "z.zip", [(f"{n}.png", png()) for n in range(3)]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_that_lies_about_a_file_s_size_gains_nothing(tmp_path):
    file = pack(tmp_path / "x.zip", [("a.png", bytes(50_000))], compression=zipfile.ZIP_DEFLATED)
    lied = file.read_bytes().replace(struct.pack("<I", 50_000), struct.pack("<I", 10))
    file.write_bytes(lied)
    with pytest.raises(UserError, match="no readable zip archive"):
        unpack(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04torn"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.zip is no readable zip archive"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_an_archive_without_images_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no images"):
        unpack(pack(tmp_path / "x.zip", [("a.exe", "x")]), tmp_path / "out")


def test_class_folders_are_not_taken_for_wrappings(tmp_path):
    for name in ("set/cat/a.png", "set/dog/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(png())
    assert inner_folder(tmp_path) == tmp_path / "set"
    (tmp_path / "one/cat").mkdir(parents=True)
    (tmp_path / "one/cat/a.png").write_bytes(png())
    assert inner_folder(tmp_path / "one") == tmp_path / "one"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("entries", "kept", "listed"), [
    (["set\\0\\a.png", "set\\1\\b.png"], ["set/0/a.png", "set/1/b.png"], []),
    (["0/a.png", "0/a.png", "1/b.png"], ["0/a.png", "1/b.png"], ["0/a.png: there is another"]),
    (["0/a.png", "0\\a.png"], ["0/a.png"], ["another of this name"]),
    (["0/" + "x" * 300 + ".png", "1/b.png"], ["1/b.png"], ["its name is too long"]),
    (["0/" + "ä" * 150 + ".png", "1/b.png"], ["1/b.png"], ["its name is too long"]),
    (["x/" * 3000 + "a.png", "1/b.png"], ["1/b.png"], ["its name is too long"]),
    (["0.png", "0.png/a.png"], ["0.png"], ["a file where its folder should be"]),
    (["0.png/a.png", "0.png"], ["0.png/a.png"], ["another of this name"]),
    (["", "1/b.png"], ["1/b.png"], []),
    (["./", "1/b.png"], ["1/b.png"], []),
    (["0/2026-01-01 12:30.png"], ["0/2026-01-01 12:30.png"], []),
])  # fmt: skip
def test_names_as_people_pack_them_have_a_place_or_are_listed(tmp_path, entries, kept, listed):
    left = unpack(pack(tmp_path / "x.zip", [(name, png()) for name in entries]), tmp_path / "out")
    files = [name for name in names(tmp_path / "out") if not name.endswith(LEFT_OUT)]
    assert files == sorted(kept)
    assert all(any(word in line for line in left) for word in listed)
    skipped = open_folder(tmp_path / "out", **SPACE).skipped
    assert all(any(word in line for line in skipped) for word in listed)


def test_a_full_disk_is_told_in_a_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives, "_write", full)
    with pytest.raises(
        UserError, match=r"cannot be unpacked .* No space left on device; make room"
    ):
        unpack(pack(tmp_path / "x.zip", [("a.png", png())]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_torn_contents_are_no_readable_archive(tmp_path, method):
    noise = random.Random(0).randbytes(3000)
    file = pack(tmp_path / "x.zip", [("a.png", noise)], compression=method)
    content = bytearray(file.read_bytes())
    content[60:2000] = bytes(1940)
    file.write_bytes(content)
    with pytest.raises(UserError, match="no readable zip archive"):
        unpack(file, tmp_path / "out")
