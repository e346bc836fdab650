"""Errors of tensors too large to be made doubles at once are those of the whole."""

import pytest
import torch

from engine.analysis.layers import errors


@pytest.mark.parametrize("shape", [(7, 3, 4, 5), (11,), (2, 300)])
def test_a_distance_is_the_same_in_parts_whatever_the_layout(shape, monkeypatch):
    torch.manual_seed(0)
    a = torch.randn(shape)
    b = a + 0.1 * torch.randn(shape)
    whole = errors.distance(a, b)
    monkeypatch.setattr(errors, "AT_ONCE", 50)
    if a.dim() == 4:
        a = a.contiguous(memory_format=torch.channels_last)
    assert len(errors._parts(a)) == {4: 7, 1: 1, 2: 2}[a.dim()] or a.numel() <= 50
    assert errors.distance(a, b) == pytest.approx(whole)


def test_parts_hold_few_values_and_together_all_of_them(monkeypatch):
    monkeypatch.setattr(errors, "AT_ONCE", 12)
    x = torch.arange(30.0).view(10, 3)
    parts = errors._parts(x)
    assert [len(part) for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat(parts), x)
    assert len(errors._parts(torch.tensor(1.0))) == 1
