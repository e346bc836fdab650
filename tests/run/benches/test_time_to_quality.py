"""Time to quality: which part of the budget counts, and the published pipeline as a whole."""

import pytest
import torch

from engine.models.cards.sources import listed_card
from engine.models.graph.blocks import find_blocks
from engine.quantization.plan import plan_bits
from engine.quantization.student import make_student
from engine.run.benches.speed import time_to_quality
from engine.run.benches.speed.plain.whole import Budget, plain_run
from engine.run.benches.speed.time_to_quality import Outcome, reached


def outcomes(*accuracies):
    return [Outcome(2.0, 1.0, top1) for top1 in accuracies]


def test_the_smallest_part_that_is_as_accurate_on_average_counts():
    own = {1.0: outcomes(0.75, 0.75), 0.5: outcomes(1.0, 0.5), 0.25: outcomes(0.75, 0.5)}
    assert reached(outcomes(0.5, 1.0), own) == 0.5
    assert reached(outcomes(0.75, 0.875), own) is None


def test_its_rows_hold_images_and_student_apart_and_the_ratio_seed_by_seed(monkeypatch):
    made = {1.0: (3.0, 0.95), 0.5: (1.5, 0.91), 0.25: (0.6, 0.9), 0.125: (0.3, 0.8)}
    monkeypatch.setattr(
        time_to_quality, "_own", lambda part, seed: Outcome(made[part][0], 1.0, made[part][1])
    )
    monkeypatch.setattr(time_to_quality, "apart", lambda work, seed: Outcome(7.0, 1.0 + seed, 0.9))
    rows = time_to_quality.measured(2, lambda _: None)["rows"]
    assert rows[0]["work"] == "published loops, 160 + 120 steps: 90.00\N{NO-BREAK SPACE}%"
    assert (rows[0]["images_s"], rows[0]["student_s"]) == (7.0, 1.5)
    assert rows[-1]["work"] == "until the published loops' accuracy: 90.00\N{NO-BREAK SPACE}%"
    assert rows[-1]["wall_s"] == pytest.approx(1.6)
    assert rows[-1]["wall"]["low"] == pytest.approx(1.6 / 9)
    assert rows[-1]["wall"]["high"] == pytest.approx(1.6 / 8)


@pytest.fixture(scope="module")
def card():
    return listed_card("resnet20-fashion", {})


def nearest(card):
    teacher = card.load()
    blocks = find_blocks(teacher, card.image_shape)
    plan = plan_bits(blocks, weight_bits=2, activation_bits=4, edge_rule="brecq")
    return make_student(teacher, blocks, plan), plan


def test_without_steps_the_published_student_is_rounded_to_nearest(card):
    found = plain_run(card.name, Budget(images=4, steps=1, block_steps=0), (2, 4), seed=0)
    wanted, plan = nearest(card)
    for path in plan:
        got, at = found.student.get_submodule(path), wanted.get_submodule(path)
        assert torch.equal(got.weight_quantizer.codes, at.weight_quantizer.codes)
        assert torch.equal(got.weight, at.weight)


def test_its_steps_learn_other_codes_on_the_same_number_of_levels(card):
    found = plain_run(card.name, Budget(images=4, steps=1, block_steps=40), (2, 4), seed=0)
    wanted, plan = nearest(card)
    changed = 0
    for path, bits in plan.items():
        layer, before = found.student.get_submodule(path), wanted.get_submodule(path)
        codes = layer.weight_quantizer.codes
        assert int(codes.max()) < 2**bits.weight_bits
        assert all(len(c.unique()) <= 2**bits.weight_bits for c in layer.weight.detach())
        changed += int((codes != before.weight_quantizer.codes).sum())
    assert changed > 0
