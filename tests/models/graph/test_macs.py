"""Multiply-accumulates, counted by hand."""

import torch
from torch import nn

from engine.core.trace import count_hooks
from engine.models.graph.macs import count_macs


def test_macs_are_weights_times_positions():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),  # 4x4 positions of 3*9 products for 4 channels
        nn.Conv2d(4, 4, 3, groups=4, padding=1),  # depthwise: 9 products for each channel
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    found = count_macs(model, ["0", "1", "3"], torch.zeros(1, 3, 8, 8))
    assert found == {"0": 16 * 27 * 4, "1": 16 * 9 * 4, "3": 640}
    assert count_hooks(model) == 0
