"""What is put back lies in memory as it lay, where it can; its values are the same wherever it lies."""

import pytest
import torch

from engine.quantization.student import laid_out

VALUES = torch.arange(24.0)


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((2, 3, 2, 2), (12, 1, 6, 3)), ((4, 6), (1, 4)), ((4, 6), (6, 1)), ((3, 1, 8), (8, 1, 1)),
     ((3, 1, 8), (1, 24, 3)), ((24,), (1,)), ((1, 1), (0, 0)), ((), ())],
)  # fmt: skip
def test_a_tensor_comes_back_in_the_layout_that_it_had(shape, strides):
    value = VALUES[: torch.Size(shape).numel()].view(shape)
    found = laid_out({"a": value, "layout:a": torch.tensor(strides, dtype=torch.int64)})
    assert list(found) == ["a"]
    assert torch.equal(found["a"], value)
    assert found["a"].stride() == strides
    assert found["a"].data_ptr() != value.data_ptr()


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((4, 6), (0, 1)), ((4, 6), (1, 1)), ((4, 6), (1, 0)), ((4, 6), (12, 2)), ((4, 6), (-6, 1)),
     ((4, 6), (1, 5)), ((4, 6), (1,)), ((4, 6), (1, 4, 24)), ((4, 6), (2, 4)), ((1, 24), (0, 0))],
)  # fmt: skip
def test_a_layout_in_which_elements_would_share_a_place_or_leave_one_is_not_taken(shape, strides):
    value = VALUES.view(shape)
    found = laid_out({"a": value, "layout:a": torch.tensor(strides)})["a"]
    assert torch.equal(found, value)
    assert found.is_contiguous()


def test_without_a_layout_it_is_a_plain_copy():
    value = VALUES.view(4, 6)
    found = laid_out({"a": value})["a"]
    assert torch.equal(found, value)
    assert found.data_ptr() != value.data_ptr()
