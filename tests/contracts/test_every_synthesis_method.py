"""What every synthesis method owes its callers; a new method is tested by being there."""

import io
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from engine.core.errors import UserError
from engine.core.trace import count_hooks
from engine.synthesis import discover_methods
from engine.synthesis.base import SynthesisMethod
from tests.contracts.nets import Breaking, TinyResNet, budget, images, ready, request, total
from tests.thorough import thorough
from tests.toys import ConvWithoutBn

METHODS = discover_methods()
STUDENT = {"co_training": True, "student_warm_up": 0.0, "competition_weight": 1.0}
# Every method that can work with a student beside it is tested once more, with one.
WITH_STUDENT = [
    name for name, cls in METHODS.items() if {*STUDENT} & {f.name for f in fields(cls.Settings)}
]
METHODS |= {f"{name} with a student": METHODS[name] for name in WITH_STUDENT}
SHAPE = (8, 3, 8, 8)
STEPS = 14
WITH_STEPS = [name for name, cls in METHODS.items() if cls.planned_steps(budget(cls.Settings), 0)]
WITHOUT_STEPS = [name for name in METHODS if name not in WITH_STEPS]
TAKEN_AS_THEY_ARE = ("real", "external")  # images that no seed changes
# All tests of a method in a row: one process then makes what they share, once.
every_method = pytest.mark.parametrize("name", [*WITH_STEPS, *WITHOUT_STEPS], scope="module")
method_with_steps = pytest.mark.parametrize("name", WITH_STEPS, scope="module")


@cache
def folder():
    """A folder of real pictures, for the method that takes its images from one."""
    place = TemporaryDirectory(prefix="pictures-")
    for k, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (8, 8, 8, 3), np.uint8)):
        Image.fromarray(pixels).save(Path(place.name) / f"{k}.png")
    return place  # kept by the cache until the process ends


def make(name, teacher=None, **facts):
    cls = METHODS[name]
    given = {"steps": STEPS, "width": 16, "folder": folder().name}
    given |= STUDENT if name not in discover_methods() else {}
    return cls(request(cls.Settings, teacher, **given | facts))


def run(machine, steps=None):
    return [total(machine.step()) for _ in range(machine.total_steps if steps is None else steps)]


@dataclass(frozen=True)
class Run:
    """A machine that has taken all its steps, and its teacher as it was before; to be looked at only."""

    machine: SynthesisMethod
    losses: list[float]
    teacher: nn.Module
    before: dict[str, torch.Tensor]
    classes: list[type]


@cache
def finished(name):
    teacher = ready(TinyResNet())
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    classes = [type(module) for module in teacher.modules()]
    machine = make(name, teacher)
    return Run(machine, run(machine), teacher, before, classes)


def through_a_file(state):
    """The state as a checkpoint brings it back: read as data only."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@every_method
def test_images_have_the_shape_asked_for_and_no_gradient(name):
    made = finished(name).machine.images()
    assert made.shape == SHAPE
    assert made.dtype == torch.float32
    assert torch.isfinite(made).all()
    assert not made.requires_grad


@every_method
def test_the_teacher_is_left_as_it_was(name):
    done = finished(name)
    teacher, after = done.teacher, done.teacher.state_dict()
    assert done.before.keys() == after.keys()
    assert all(torch.equal(done.before[key], after[key]) for key in after)
    assert done.classes == [type(module) for module in teacher.modules()]
    assert not any(module.training for module in teacher.modules())
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())


def hooks(machine, teacher):
    parts = getattr(machine, "parts", machine)
    held = [getattr(parts, name, None) for name in ("model", "canvas")]
    held = [module for module in [*held, machine.request.student] if isinstance(module, nn.Module)]
    return sum(count_hooks(model) for model in [teacher, *held])


@every_method
def test_no_hook_stays(name):
    done = finished(name)
    assert hooks(done.machine, done.teacher) == 0


@method_with_steps
def test_no_hook_stays_when_the_teacher_breaks(name, monkeypatch):
    teacher = ready(Breaking())
    machine = make(name, teacher)
    run(machine, 2)
    monkeypatch.setattr(Breaking, "broken", True)
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    with pytest.raises(RuntimeError, match="broken in the middle"):
        machine.step()
    assert hooks(machine, teacher) == 0
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())


@method_with_steps
def test_what_is_minimised_falls(name):
    """Of the images: a student beside them is taught on others at every step, and its part may rise."""
    machine = make(name, steps=30)
    parts = [machine.step() for _ in range(machine.total_steps)]
    losses = [
        total({key: loss for key, loss in step.items() if key != "student"}) for step in parts
    ]
    assert all(loss < losses[0] for loss in losses[-5:])


@method_with_steps
def test_after_a_step_the_method_can_say_what_the_teacher_saw(name):
    machine = make(name)
    losses = machine.step()
    assert all(loss.dim() == 0 and not loss.requires_grad for loss in losses.values())
    seen = machine.latest
    assert len(seen.moments) == 6  # stem, two in each block, one in the projection
    assert seen.logits.shape == (SHAPE[0], 3)


def test_those_that_know_a_student_are_found():
    assert {"gdfq", "qimera", "fdda", "clusterq", "dafl", "deep-inversion"} <= {*WITH_STUDENT}


@pytest.mark.extended
@every_method
def test_the_seed_decides_the_images(name):
    made = [finished(name).machine.images()]
    for seed in (0, 1):
        machine = make(name, seed=seed)
        torch.manual_seed(len(made))  # the global generator must not matter
        run(machine)
        made.append(machine.images())
    assert torch.equal(made[0], made[1])
    if name == "real":
        assert torch.equal(made[0], images(SHAPE[0]))
    if name not in TAKEN_AS_THEY_ARE:
        assert not torch.equal(made[0], made[2])


@every_method
@pytest.mark.parametrize("stop_at", [*thorough(1), STEPS // 2])
def test_a_saved_method_goes_on_to_the_same_images(name, stop_at):
    straight = finished(name)
    first = make(name)
    begun = run(first, min(stop_at, first.total_steps))
    state = through_a_file(first.state_dict())
    # Built from another seed: whatever the state forgets comes out different.
    second = make(name, seed=0 if not first.total_steps else 7)
    second.load_state_dict(state)
    gone_on = run(second, second.total_steps - len(begun))
    assert begun + gone_on == straight.losses
    assert torch.equal(second.images(), straight.machine.images())


@pytest.mark.extended
@every_method
def test_what_one_batch_remembers_the_next_can_use(name):
    memory = through_a_file(finished(name).machine.remember())
    made = []
    for _ in range(2):
        second = make(name, batch=1, memory=memory)
        assert second.total_steps == second.planned_steps(second.request.settings, 1)
        run(second)
        made.append(second.images())
    assert made[0].shape == SHAPE
    assert torch.equal(made[0], made[1]), "it must not change what it was given"


@every_method
def test_labels_are_classes_or_probabilities_of_every_image(name):
    labels = finished(name).machine.labels()
    if labels is None:
        return
    assert len(labels) == SHAPE[0]
    if labels.dim() == 2:
        assert torch.allclose(labels.sum(1), torch.ones(SHAPE[0]), atol=1e-5)
    else:
        assert labels.dtype == torch.int64
        assert 0 <= labels.min() <= labels.max() < 3


@every_method
def test_what_a_method_needs_is_asked_for_by_name(name):
    bare = ConvWithoutBn().eval().requires_grad_(False)
    lacking = {
        "batchnorm": {"teacher": bare, "shape": (8, 1, 8, 8)},
        "convolutions": {"teacher": ready(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)))},
        "classes": {"classes": 0},
        "real-images": {"real": None},
        "labelled-images": {"real_labels": None},
    }
    for need in METHODS[name].card.needs:
        with pytest.raises(UserError, match=METHODS[name].card.name):
            make(name, **lacking[need])
