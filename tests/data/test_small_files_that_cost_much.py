"""Files of a few bytes that ask for much: known by their first bytes, skipped and listed."""

import struct
import tracemalloc
import zipfile
import zlib

import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.data import archive as archives
from engine.data.archive import unpack
from engine.data.images import open_folder
from engine.data.pixels import decode as decoding

SPACE = {"image_shape": (1, 28, 28), "mean": (0.0,), "std": (1.0,), "resize": 28}


def png(path, width, height, data=b""):
    """A PNG of one bit a pixel that says it is so large, whatever follows."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(
            ">I", zlib.crc32(name + content)
        )  # fmt: skip

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height", "said"), [
    (1, 64_000_000, "too many"), (64_000_000, 1, "too many"), (8000, 8000, "from so small a file"),
    (10_000, 10_000, "pixels"), (20_000, 10_000, "more than 64,000,000 pixels"),
    (60_000, 60_000, "more than 64,000,000 pixels"),
])  # fmt: skip
def test_a_picture_of_too_many_pixels_is_skipped_before_it_is_decoded(
    tmp_path, monkeypatch, width, height, said
):
    Image.new("L", (28, 28)).save(tmp_path / "good.png")
    blank = zlib.compress(bytes((width // 8 + 1) * height if width * height < 10**8 else 9), 9)
    png(tmp_path / "huge.png", width, height, blank)
    monkeypatch.setattr(decoding.ImageOps, "exif_transpose", lambda image: _small(image))
    images = open_folder(tmp_path, **SPACE)
    assert len(images) == 1
    (skipped,) = images.skipped
    assert skipped.startswith("huge.png: ")
    assert said in skipped


def _small(image):
    assert image.size == (28, 28), "was decoded"
    return image


def test_sixteen_bits_do_not_become_doubles_all_at_once():
    image = Image.new("I;16", (2000, 1000), 128 * 257)
    tracemalloc.start()
    narrow = decoding.to_mode(image, 1)
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert narrow.getextrema() == (128, 128)
    assert most < 2000 * 1000 * 8  # a double for each pixel


@pytest.mark.parametrize("kind", ["eps", "pcx", "ico"])
def test_formats_that_are_not_for_photos_are_not_opened_under_another_name(tmp_path, kind):
    Image.new("L", (28, 28)).save(tmp_path / "good.png")
    Image.new("L", (28, 28)).save(tmp_path / f"x.{kind}")
    (tmp_path / f"x.{kind}").rename(tmp_path / "x.png")
    assert open_folder(tmp_path, **SPACE).skipped == ["x.png: no image that can be read"]


def test_many_small_files_that_unpack_to_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 2**18)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for n in range(9):
            file.writestr(f"{n}.png", bytes(2**17))
    with pytest.raises(UserError, match=r"x\.zip unpacks from .* as no images do"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()
