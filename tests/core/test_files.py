"""Files that a user names: regular, bounded, read to their end and no further."""

import hashlib
import os
import socket
from pathlib import Path

import pytest

from engine.core.errors import UserError
from engine.core.outside.files import (
    check_regular,
    check_size,
    open_regular,
    sha256_of,
    typed_path,
    walk,
)
from engine.data.image_folders import check_folder, content_of, list_images
from engine.models.checkpoints.read import read_checkpoint
from engine.run.networks import unpacked
from engine.run.recipes.recipe import make_recipe
from tests.toys import _knob as a_knob
from tests.toys import catalog

NAMES = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}
pytestmark = pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such devices here")


@pytest.fixture(params=["device", "terminal", "pipe", "socket", "folder", "link to a device"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something that is there, can be opened or not, and is no regular file."""
    path = tmp_path / "odd"
    if request.param == "device":
        return Path("/dev/zero")
    if request.param == "terminal":
        return Path("/dev/tty")
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        # its address may hold about a hundred letters, and a test's folder has more
        there = os.open(tmp_path, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"/proc/self/fd/{there}/odd")
        os.close(there)
    elif request.param == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    return path


def test_what_is_no_regular_file_is_refused_at_once_through_every_door(
    odd: Path, tmp_path: Path
) -> None:
    doors = (
        check_regular, sha256_of, read_checkpoint, lambda path: unpacked(path, tmp_path),
        lambda path: make_recipe(catalog(), **NAMES, weights=str(path)),
    )  # fmt: skip
    for door in doors:
        with pytest.raises(
            UserError, match=r"is (a device|a named pipe|a socket|a folder);"
        ) as said:
            door(odd)
        assert str(odd) in str(said.value) or str(odd.resolve()) in str(said.value)
        assert "\n" not in str(said.value)


def test_the_command_line_refuses_a_device_with_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from engine.__main__ import main

    for words in (["inspect", "/dev/zero"], ["try-network", "--weights", "/dev/zero"]):
        assert main(words) == 2
        said = capsys.readouterr().err.strip()
        assert "/dev/zero is a device" in said
        assert "\n" not in said


def test_a_file_is_hashed_as_it_is_and_no_further_than_it_says(tmp_path: Path) -> None:
    content = os.urandom(2**20 + 3)
    (tmp_path / "plain").write_bytes(content)
    assert sha256_of(tmp_path / "plain") == hashlib.sha256(content).hexdigest()
    (tmp_path / "empty").write_bytes(b"")
    assert sha256_of(tmp_path / "empty") == hashlib.sha256().hexdigest()
    with pytest.raises(UserError, match="larger than"):
        sha256_of(tmp_path / "plain", most_bytes=2**20)
    with pytest.raises(UserError, match="longer than it says"):
        sha256_of(Path("/proc/self/maps"))


def test_a_sparse_file_costs_nothing(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**40)
    for door in (sha256_of, read_checkpoint):
        with pytest.raises(UserError, match="larger than 4 GiB"):
            door(tmp_path / "huge.png")


def test_how_a_file_begins_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "diary.pth").write_bytes(b"dear diary, nobody may know that")
    with pytest.raises(UserError) as said:
        read_checkpoint(tmp_path / "diary.pth")
    assert "dear" not in str(said.value)


def test_what_was_opened_is_what_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file may come under the same name between the look and the opening."""
    (tmp_path / "file").write_bytes(b"x")
    real = os.open
    monkeypatch.setattr(
        "engine.core.outside.files.os.open", lambda path, flags: real("/dev/zero", flags)
    )
    with pytest.raises(UserError, match="is a device"), open_regular(tmp_path / "file"):
        pass


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000, "~nobody-of-that-name/x", "\ud800"])
def test_what_can_be_no_path_is_said(text: str) -> None:
    with pytest.raises(UserError, match="can be no path"):
        typed_path(text)
    with pytest.raises(UserError, match="can be no path"):
        make_recipe(catalog(), **NAMES, weights=text)
    entries = catalog()
    entries["synthesis"][0]["settings"].append(a_knob("folder", "", "str"))
    with pytest.raises(UserError, match=r"can be no path|give a text"):
        make_recipe(entries, **NAMES, synthesis_settings={"folder": text})


def test_a_folder_is_looked_through_up_to_a_bound(tmp_path: Path) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.png").write_bytes(b"")
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    assert sorted(entry.name for entry in walk(tmp_path)) == [
        "a",
        "b",
        "c",
        "round",
        "x.png",
        "x.png",
    ]
    with pytest.raises(UserError, match="holds more than 3 files"):
        check_size(tmp_path, most=3)
    with pytest.raises(UserError, match="cannot be read"):
        check_size(tmp_path / "nowhere")


def test_a_folder_of_everything_is_refused_before_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(b"")
    monkeypatch.setattr(
        "engine.data.image_folders.check_size", lambda folder: check_size(folder, most=4)
    )
    for door in (check_folder, lambda folder: content_of(folder, 3)):
        with pytest.raises(UserError, match="more than 4 files; name a folder inside it"):
            door(tmp_path)


def test_what_is_large_and_unchanged_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.core.outside import files

    counted: list[str] = []
    real = files._hash
    monkeypatch.setattr(files, "_hash", lambda *given: counted.append(given[2]) or real(*given))
    monkeypatch.setattr(files, "LARGE_BYTES", 3)
    path = tmp_path / "weights"
    path.write_bytes(b"long")
    assert sha256_of(path) == sha256_of(path)
    assert len(counted) == 2  # written a moment ago: it may be written again within a tick
    monkeypatch.setattr(files, "SETTLED_S", -1)
    assert sha256_of(path) == sha256_of(path)
    assert len(counted) == 3
    path.write_bytes(b"gone")
    assert sha256_of(path) == hashlib.sha256(b"gone").hexdigest()


def test_a_pipe_among_the_tables_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    os.mkfifo(tmp_path / "labels.csv")
    os.mkfifo(tmp_path / "other.csv")
    assert [entry.path.name for entry in list_images(tmp_path)] == ["x.png"]
