"""Grey pictures of more than 8 bits: at which scale they are read, decided for a whole folder."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.data.images import open_folder
from engine.data.own_images import images_from

SPACE = {"image_shape": (1, 8, 8), "mean": (0.0,), "std": (1.0,), "resize": 8}
KINDS = {"deep.png": np.uint16, "deep.tif": np.uint16, "deeper.tif": np.int32}


def save(path: Path, value: int, kind=np.uint16) -> None:
    Image.fromarray(np.full((8, 8), value, kind)).save(path)


def shades(images) -> list[int]:
    return (images.first(9)[:, 0, 4, 4] * 255).round().int().tolist()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        ((0, 128 * 257, 65535), [0, 128, 255], None),
        ((200, 65535), [1, 255], None),  # a dark one keeps the scale of its set
        ((200, 0, 255), [200, 0, 255], "no value above 255, so they are taken as 8 bits"),
        ((0, 0), [0, 0], None),
        ((100, 4095), [0, 16], "no value above 4,095 of 65,535.*save them as 8 bits"),
        ((100, 4096), [0, 16], None),
    ],
)
def test_a_folder_has_one_scale(tmp_path, name, values, expected, said):
    for at, value in enumerate(values):
        save(tmp_path / f"{at}{name}", value, KINDS[name])
    images = open_folder(tmp_path, **SPACE)
    assert shades(images) == expected
    assert images.skipped == images.notes == []  # they are of labels
    assert len(images.pixel_notes) == (said is not None)
    assert not said or re.search(f"8 bits in {tmp_path.name} have {said}", images.pixel_notes[0])


def test_a_broken_neighbour_does_not_choose_the_scale_nor_does_one_of_eight_bits(tmp_path):
    for at in range(9):
        save(tmp_path / f"{at}.tif", 90 + at, np.int32)
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64)).astype(np.uint16)
    Image.fromarray(noise).save(tmp_path / "torn.png")
    raw = (tmp_path / "torn.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(raw[: len(raw) // 2])
    Image.new("L", (8, 8), 255).save(tmp_path / "z.png")
    images = open_folder(tmp_path, **SPACE)
    assert len(images.skipped) == 1
    assert shades(images) == [*range(90, 99)]
    assert images.at([9]).max() == 1


@pytest.mark.parametrize("value", [65536, 2**31 - 1])
def test_what_16_bits_do_not_hold_is_skipped_and_not_clipped(tmp_path, value):
    save(tmp_path / "a.tif", 65535, np.int32)
    save(tmp_path / "b.tif", value, np.int32)
    images = open_folder(tmp_path, **SPACE)
    assert shades(images) == [255]
    assert images.skipped == [
        f"b.tif: its values go up to {value:,}, those of 16 bits to 65,535; save it as 8 bits"
    ]


def test_values_below_nothing_are_black(tmp_path):
    save(tmp_path / "a.tif", -7, np.int32)
    save(tmp_path / "b.tif", 50, np.int32)
    assert shades(open_folder(tmp_path, **SPACE)) == [0, 50]


@pytest.mark.parametrize(("values", "fine"), [
    ((128 * 257, 5), True), ((0, 0), True), ((5, 200), False), ((5, 4095), False),
])  # fmt: skip
@pytest.mark.parametrize("mode", ["I", "I;16"])
def test_pictures_of_the_user_s_own_program_are_not_read_as_black(tmp_path, values, fine, mode):
    file = tmp_path / "faces.py"
    file.write_text(
        "from PIL import Image\n"
        f"def faces():\n    return [Image.new({mode!r}, (8, 8), v) for v in {values}]\n"
    )
    if fine:
        made = images_from(f"{file}:faces", 2, **SPACE)
        assert (made[:, 0, 4, 4] * 255).round().tolist() == [round(v / 257) for v in values]
        return
    with pytest.raises(
        UserError, match=r"faces\.py:faces .* no value above .* give them as 8 bits"
    ):
        images_from(f"{file}:faces", 2, **SPACE)


@pytest.mark.parametrize("outputs", [0, 10])
def test_a_run_and_the_doctor_say_so(tmp_path, monkeypatch, outputs):
    from engine.run import context
    from engine.run.questions.before_a_run.examine import _as_read

    save(tmp_path / "a.tif", 4000)
    images = open_folder(tmp_path, **SPACE)
    monkeypatch.setattr(context, "_folder", lambda *given: images)
    _images, notes = context.test_images(None, SimpleNamespace(data=str(tmp_path)), outputs)
    assert notes == images.pixel_notes
    (finding,) = _as_read(images, with_labels=bool(outputs))
    assert finding.message == notes[0].rstrip(".")
