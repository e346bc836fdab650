"""Files whose names are no text: any bytes that a file system allows."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.data.image_folders import content_of
from engine.data.images import open_folder

SPACE = {"image_shape": (1, 8, 8), "mean": (0.0,), "std": (1.0,), "resize": 8}


@pytest.fixture
def odd(tmp_path):
    """Saves a picture under a name in bytes; skips where the file system takes text only."""

    def save(name: bytes, shade: int = 9) -> Path:
        path = tmp_path / os.fsdecode(name)
        try:
            path.parent.mkdir(exist_ok=True)
            Image.new("L", (8, 8), shade).save(path, format="PNG")
        except OSError:
            pytest.skip(f"{sys.platform} has no such names")
        return path

    return save


def test_names_that_are_not_utf_8_count_in_what_a_folder_holds(tmp_path, odd):
    path = odd(b"\xff0.png")
    (tmp_path / "1.png").write_bytes(path.read_bytes())
    before = content_of(tmp_path, 2)
    path.rename(tmp_path / os.fsdecode(b"\xfe0.png"))
    assert content_of(tmp_path, 2) != before
    assert len(open_folder(tmp_path, **SPACE)) == 2


def test_what_is_said_of_such_files_can_be_printed(tmp_path, odd):
    odd(b"0\xff/good.png")
    odd(b"1/good.png")
    odd(b"0\xff/\xff.png").write_bytes(b"")
    with pytest.raises(UserError) as raised:
        open_folder(tmp_path, **SPACE)
    str(raised.value).encode()
    images = open_folder(tmp_path, **SPACE, classes=None)
    assert len(images) == 2
    (skipped,) = images.skipped
    assert skipped.encode().endswith(b".png: no image that can be read")
    images = open_folder(tmp_path / os.fsdecode(b"0\xff"), **SPACE)
    assert images.name.encode().startswith(b"0")


@pytest.mark.parametrize("text", ["file,label\n1.png,3\n", "file,label\n1.png\n"])
def test_tables_with_such_names(tmp_path, odd, text):
    odd(b"1.png")
    for name in (b"\xff.csv", b"\xfe.csv"):
        (tmp_path / os.fsdecode(name)).write_text(text)
    (note,) = open_folder(tmp_path, **SPACE).notes
    assert note.encode().decode().startswith("\ufffd.csv and \ufffd.csv both look")
    (tmp_path / os.fsdecode(b"\xfe.csv")).unlink()
    if "3" in text:
        assert open_folder(tmp_path, **SPACE).labels.tolist() == [3]
        return
    with pytest.raises(UserError) as raised:
        open_folder(tmp_path, **SPACE)
    assert str(raised.value).encode().decode().startswith("\ufffd.csv line 2 is")
