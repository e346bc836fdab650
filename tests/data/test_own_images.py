"""Images from the user's own program: what may be yielded, and what each mistake says."""

import pytest
import torch

from engine.core.errors import UserError
from engine.data.own_images import images_from

HEAD = """
import itertools
import numpy as np
import torch
from PIL import Image

"""
SPACE = {"image_shape": (3, 8, 8), "mean": (0.5,) * 3, "std": (0.25,) * 3, "resize": 8}


@pytest.fixture
def taken(tmp_path):
    """The first images of a factory with this body."""

    def take(body, count=4, **changes):
        file = tmp_path / "faces.py"
        file.write_text(f"{HEAD}def faces():\n    {body}\n")
        return images_from(f"{file}:faces", count, **SPACE | changes)

    return take


@pytest.mark.parametrize(
    "body",
    [
        "return (torch.full((3, 8, 8), k / 10) for k in range(4))",
        "return (torch.full((3, 8, 8), k / 10) for k in itertools.count())",
        "return [np.full((3, 8, 8), k / 10) for k in range(9)]",
        "return torch.stack([torch.full((3, 8, 8), k / 10) for k in range(4)])",
        "return (torch.arange(k, k + 3).view(3, 1, 1, 1).expand(3, 3, 8, 8) / 10 for k in (0, 3))",
        "return (torch.full((3, 8, 8), k / 10).requires_grad_() for k in range(4))",
    ],
    ids=["tensors", "endless", "arrays", "one tensor", "batches", "with gradients"],
)
def test_images_are_taken_in_order_and_normalised(taken, body):
    made = taken(body)
    assert made.shape == (4, 3, 8, 8)
    assert made.dtype == torch.float32
    assert not made.requires_grad
    wanted = [(k / 10 - 0.5) / 0.25 for k in range(4)]
    assert made[:, 2, 7, 7].tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    "one", ["torch.full((3, 8, 8), 51, dtype=torch.uint8)", "Image.new('RGB', (20, 10), (51,) * 3)"]
)
def test_bytes_and_pictures_count_to_255(taken, one):
    made = taken(f"return [{one}] * 2", 2)
    assert made.shape == (2, 3, 8, 8)
    assert torch.allclose(made, torch.tensor((0.2 - 0.5) / 0.25), atol=1e-6)


def test_a_generators_overshoot_is_clipped(taken):
    made = taken("return [torch.full((3, 8, 8), 1.0005)]", 1)
    assert made.max().item() == 2.0


def test_no_more_is_asked_for_than_is_needed(taken):
    body = "yield from torch.zeros(4, 3, 8, 8)\n    raise SystemError('one too many')"
    assert len(taken(body)) == 4


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return [torch.zeros(3, 8, 8)] * 3", "needs 4 images.*faces gave 3"),
        ("return [torch.zeros(1, 8, 8)]", r"image 0 .*\[1, 8, 8\].*takes \[3, 8, 8\]"),
        ("return [torch.zeros(3, 8, 8), torch.zeros(8, 8)]", r"image 1 .*shape \[8, 8\]"),
        ("return [torch.zeros(0, 3, 8, 8)]", "empty batch"),
        ("return ['a.png']", "image 0 .*of type str"),
        ("return [np.array(['a'])]", "holds no numbers"),
        ("return [torch.zeros(3, 8, 8).long()]", "int64; give floats"),
        ("return [torch.full((3, 8, 8), 2.0)]", "values from 2 to 2"),
        ("return [torch.full((3, 8, 8), float('nan'))]", "values from nan"),
        ("return 3", "broke off after 0 items: TypeError"),
        (
            "yield torch.zeros(3, 8, 8)\n    raise KeyError('z')",
            "broke off after 1 items: KeyError",
        ),
    ],
)
def test_every_mistake_is_one_line_that_names_the_function(taken, body, words):
    with pytest.raises(UserError, match=words) as raised:
        taken(body)
    assert "faces.py:faces" in str(raised.value)
    assert "\n" not in str(raised.value)
