"""Images from elsewhere: which of them, brought to which size, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.errors import UserError
from engine.synthesis.methods.external import External
from tests.contracts.nets import request


def make(cls, **facts):
    return cls(request(cls.Settings, **facts))


def pictures(folder, count=5):
    for k in range(count):
        Image.fromarray(np.full((8, 8, 3), 50 * k, np.uint8)).save(folder / f"{k}.png")
    return str(folder)


def test_images_from_elsewhere_are_this_batch_s_share_normalised(tmp_path):
    made = make(External, folder=pictures(tmp_path), shape=(2, 3, 8, 8), offset=2).images()
    assert made[:, 0, 0, 0].tolist() == pytest.approx([(v / 255 - 0.5) / 0.25 for v in (100, 150)])


def test_too_few_images_and_no_folder_are_the_user_s_to_mend(tmp_path):
    with pytest.raises(UserError, match=r"needs 8 images.*has 5"):
        make(External, folder=pictures(tmp_path))
    with pytest.raises(UserError, match="has no folder"):
        make(External)


def test_flips_are_drawn_image_by_image(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(40):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / f"{k:02}.png")
    facts = {"folder": str(tmp_path), "shape": (40, 3, 8, 8)}
    plain, flipped = (make(External, flip=p, **facts).images() for p in (0.0, 0.5))
    mirrored = [torch.equal(a.flip(2), b) for a, b in zip(plain, flipped, strict=True)]
    assert 8 < sum(mirrored) < 32


@pytest.mark.parametrize("own", [False, True])
def test_a_short_side_is_brought_to_the_height_where_no_other_size_is_asked_for(tmp_path, own):
    rng, side = np.random.default_rng(0), (96, 48, 3)  # taller than the crop: there is a choice
    for k in range(2):
        Image.fromarray(rng.integers(0, 255, side, np.uint8)).save(tmp_path / f"{k}.png")
    folder = str(tmp_path)
    if own:
        code = tmp_path / "own.py"
        code.write_text(
            "import numpy as np\nfrom PIL import Image\n"
            f"def draw():\n    return [Image.open(f'{tmp_path}/{{k}}.png') for k in range(2)]\n"
        )
        folder = f"{code}:draw"
    plain, height, width = (
        make(External, folder=folder, shape=(2, 3, 12, 8), **size).images()
        for size in ({}, {"resize": 12}, {"resize": 8})
    )
    assert torch.equal(plain, height)
    assert not torch.equal(plain, width)
