"""Sets of pictures in which nothing is to be seen: read, and told of."""

import numpy as np
import pytest
from PIL import Image

from engine.data.images import open_folder
from tests.data.test_labels import SPACE, opened, pictures

_NOISE = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ([np.full((8, 8), 0), np.full((8, 8), 200)], "of one shade alone"),
        (
            [_NOISE > 127, _NOISE > 100],
            "no value|value above 1 of 255",
        ),  # floats, cut to whole numbers
        ([_NOISE // 16, np.full((8, 8), 9)], "nearly black"),
        ([_NOISE, np.full((8, 8), 0)], ""),
        ([_NOISE // 8], ""),
    ],
)
def test_pictures_without_anything_to_see_are_told_of(tmp_path, pictures, said, suffix):
    for at, pixels in enumerate(pictures):
        large = np.kron(
            pixels.astype(np.uint8), np.ones((8, 8), np.uint8)
        )  # as JPEG sees an eighth of it
        Image.fromarray(large).save(tmp_path / f"{at}.{suffix}", quality=100, lossless=True)
    notes = open_folder(tmp_path, **SPACE).pixel_notes
    if not said:
        assert notes == []
    elif suffix == "png" or said != "no value|value above 1 of 255":
        assert any(words in notes[0] for words in said.split("|"))


def test_images_that_a_table_does_not_name_are_counted(tmp_path):
    pictures(tmp_path, "a.png", "b.png", "c.png", "more/d.png")
    (tmp_path / "labels.csv").write_text("file,label\n./a.png,1\nmore/../b.png,0\n")
    images = opened(tmp_path, outputs=10)
    assert len(images) == 2
    assert images.notes == ["labels.csv names no label of 2 images: left out."]
    (tmp_path / "labels.csv").write_text("file,label\na.png,1\nb,0\nc.png,2\nd.png,2\n")
    assert opened(tmp_path, outputs=10).notes == []


def test_a_link_that_leads_nowhere_is_told_of(tmp_path):
    pictures(tmp_path, "0/a.png")
    (tmp_path / "0" / "b.png").symlink_to(tmp_path / "gone.png")
    images = opened(tmp_path, outputs=10)
    assert (len(images), images.skipped) == (1, ["0/b.png: no such file"])
