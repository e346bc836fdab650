"""What makes a claim worth measuring: a control that differs in the idea alone, and a fair measure."""

import pytest
import torch

from engine.run.benches.effects.images.claims import CLAIMS, ON_CIFAR, RESNET, VGG, Claim
from engine.run.benches.effects.images.measure import Budget, Workbench
from engine.run.benches.effects.images.measures import METRICS, Made
from engine.run.benches.effects.images.sets import SETS
from engine.synthesis import discover_methods
from engine.synthesis.target_classes import balanced
from tests.contracts.nets import TinyResNet, images
from tests.run.benches.test_effects import Plain, subject

TINY = Budget(images=8, steps=2, generator_steps=2, generator_batch=6)
# What a method minimises says that its optimiser works, not that its idea does.
MINIMISED = {"gap", "own_layer_gap", "teacher_share", "class_gap", "within_class_distance", "boundary",
             "separation", "total_variation", "bn_distance"}  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return Workbench(subject(TinyResNet()), TINY)


@pytest.mark.parametrize("claim", [*CLAIMS, *ON_CIFAR], ids=lambda c: f"{c.name}-{c.network}")
class TestPairs:
    def test_method_and_control_differ_in_the_named_settings_alone(self, claim, bench):
        one, other = SETS[claim.method], SETS[claim.baseline]
        assert (one.method, one.batches, one.generator) == (
            other.method, other.batches, other.generator,
        )  # fmt: skip
        mine, theirs = bench.settings(one), bench.settings(other)
        assert {name for name in mine if mine[name] != theirs[name]} == set(claim.differs)

    def test_one_set_is_compared_with_itself_only_by_two_measures(self, claim):
        assert bool(claim.differs) != bool(claim.baseline_metric)
        assert (claim.method == claim.baseline) == bool(claim.baseline_metric)

    def test_what_is_measured_is_not_what_is_minimised(self, claim):
        assert claim.metric not in MINIMISED

    def test_its_sets_and_settings_are_those_that_there_are(self, claim):
        for name in (claim.method, claim.baseline):
            known = discover_methods()[SETS[name].method].Settings()
            assert all(hasattr(known, setting) for setting in SETS[name].settings)


def test_every_set_is_of_some_claim():
    used = {name for claim in CLAIMS for name in (claim.method, claim.baseline)}
    assert set(SETS) == used | {"noise"}


def test_a_name_has_one_claim_and_a_few_are_asserted():
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    assert sum(claim.asserted for claim in CLAIMS) == 5


def test_the_parts_of_dsg_switched_off_leave_zeroq_from_the_same_noise(bench):
    assert torch.equal(bench.made("dsg-off", 0).images, bench.made("zeroq-gaussian", 0).images)


@pytest.mark.parametrize(
    ("method", "control"),
    [("intraq", "intraq-off"), ("dsg", "dsg-off"), ("aac", "aac-statistics"),
     ("deep-inversion", "deep-inversion-no-statistics"), ("genie", "genie-no-swing")],
)  # fmt: skip
def test_both_sides_start_from_the_same_images(method, control):
    """What is kept of a step is what its losses were measured on: of the first, what both began with."""
    start = Workbench(subject(TinyResNet()), Budget(images=8, steps=1))
    one, other = (start.made(name, 0).images for name in (method, control))
    assert torch.equal(one, other)


def test_another_network_tells_the_share_and_the_classes_asked_for():
    one = subject(TinyResNet())
    x = images(12, seed=3)
    taken = one.other(x).argmax(1)
    assert METRICS["other_share"](one, Made(x, taken)) == {"other_share": 1.0}
    dealt = balanced(12, 3, torch.Generator().manual_seed(1))
    share = METRICS["other_share"](one, Made(x, dealt))["other_share"]
    assert share == pytest.approx(float((taken == dealt).float().mean()))
    assert one.teacher is not one.other


def test_the_classes_of_the_measures_are_those_asked_for():
    """Images of one class that are all alike have no distance within it, whatever they are taken for."""
    one = subject(TinyResNet())
    x = images(2, seed=3).repeat_interleave(4, 0)
    labels = torch.arange(2).repeat_interleave(4)
    inside = METRICS["other_within_class"](one, Made(x, labels))["other_within_class"]
    assert inside == pytest.approx(0, abs=1e-3)
    mixed = METRICS["other_within_class"](one, Made(x, labels.roll(2)))["other_within_class"]
    assert mixed > inside


def test_each_claim_is_of_a_network_that_can_tell(bench):
    kinds: dict[str, list[Claim]] = {RESNET: [], VGG: []}
    for claim in CLAIMS:
        kinds[claim.network].append(claim)
    assert not any(claim.metric.startswith("other_") for claim in kinds[VGG])
    assert Workbench(subject(Plain()), TINY).made("gzsq-off", 0).images.isfinite().all()
