"""What one batch of IntraQ leaves to the next: sums of features by class, whose means are the centres."""

import pytest
import torch

from engine.core.trace import first_value
from engine.synthesis.methods.intraq import IntraQ
from tests.contracts.nets import request


def make(**facts):
    return IntraQ(request(IntraQ.Settings, steps=2, **facts))


def test_centres_are_the_mean_features_of_each_class_that_has_been_seen():
    sums = torch.tensor([[2.0, 4.0], [3.0, 5.0], [0.0, 0.0]])
    machine = make(memory={"sums": sums, "counts": torch.tensor([2.0, 1.0, 0.0])})
    weight, margin = machine.parts.losses["margin"]
    assert margin.centres.tolist() == [[1, 2], [3, 5], [0, 0]]
    assert margin.known.tolist() == [True, True, False]
    assert weight == machine.request.settings.margin_weight > 0
    assert make().parts.losses["margin"][0] == 0  # the first batch has none before it


@torch.no_grad()
@pytest.mark.parametrize("batches", [1, 3])
def test_all_batches_before_are_remembered_by_the_sums_of_their_features(batches):
    memory, sums, counts = {}, torch.zeros(3, 6), torch.zeros(3)
    for batch in range(batches):
        machine = make(batch=batch, seed=batch, memory=memory)
        with torch.enable_grad():
            machine.step()
        teacher = machine.request.teacher
        features = first_value(teacher, "head.2", "input", machine._images)
        for feature, label in zip(features, machine.labels().tolist(), strict=True):
            sums[label] += feature
            counts[label] += 1
        memory = machine.remember()
    assert torch.allclose(memory["sums"], sums, atol=1e-4)
    assert torch.equal(memory["counts"], counts)
