"""Two branches side by side, one scaled by 50 and read with a fiftieth: the doctor names who reads them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from engine.run import context
from tests.run.doctor.planted import asked, first_two
from tests.run.toy_runs import RECIPE, begun, only_the_toy, work

FACTOR = 50.0
RUN = replace(
    RECIPE, synthesis="noise", synthesis_settings={}, images=64, quantization="nearest",
    weight_bits=8, activation_bits=4, quantization_settings={"weight_range": "min-max"},
)  # fmt: skip


class SideBySide(nn.Module):
    """A stem, two convolutions side by side, one that reads both, and a classifier."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 6, 3, padding=1), nn.Conv2d(8, 6, 3, padding=1)
        self.reader = nn.Conv2d(12, 8, 3, padding=1)
        self.fc = nn.Linear(8, 5)
        nn.init.normal_(self.fc.weight, std=8.0)  # so that answers differ from image to image
        with torch.no_grad():  # the same network, whatever the factor
            for parameter in self.right.parameters():
                parameter.mul_(factor)
            self.reader.weight[:, 6:].div_(factor)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        both = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)
        return self.fc(torch.relu(self.reader(both)).mean((2, 3)))


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


def finished(factor, monkeypatch, place):
    only_the_toy(monkeypatch, place)
    card = replace(
        context.find_card("toy", {}), build=lambda: SideBySide(factor).eval(), weights=lambda: None
    )
    monkeypatch.setattr(context, "find_card", lambda *_: card)
    folder = begun(place / "runs", RUN)
    work(folder)
    return folder


def test_branches_of_unequal_size_are_named_and_bits_for_their_reader_mend_it(
    monkeypatch, tmp_path
):
    folder = finished(FACTOR, monkeypatch, tmp_path)
    found = asked(folder, "unequal-branches")
    assert ("unequal-branches", "reader") in first_two(found)
    assert found["attempt"]["measured_gain"] > 0.5 * folder.result()["logit_kl"]


def test_branches_of_like_size_are_no_finding(monkeypatch, tmp_path):
    found = asked(finished(1.0, monkeypatch, tmp_path))
    assert "unequal-branches" not in {one["rule"] for one in found["findings"]}
