"""A student beside the generator: what it minimises, when, and that the generator does not notice."""

from dataclasses import replace
from math import log

import pytest
import torch

from engine.core.errors import UserError
from engine.core.method import describe
from engine.core.trace import count_hooks
from engine.synthesis.generators import co_training
from engine.synthesis.generators.co_training import CoTraining
from engine.synthesis.methods.clusterq import Clusterq
from engine.synthesis.methods.dafl import Dafl
from engine.synthesis.methods.deep_inversion import DeepInversion
from engine.synthesis.methods.fdda import Fdda
from engine.synthesis.methods.gdfq import Gdfq, GdfqSettings
from engine.synthesis.methods.qimera import Qimera
from tests.contracts.nets import TinyResNet, images, ready, request

SMALL = {"steps": 10, "width": 16, "latent": 8}
WITH = {"co_training": True, "student_warm_up": 0.0}
GENERATORS = pytest.mark.parametrize("cls", [Gdfq, Qimera, Fdda, Clusterq, Dafl])


def make(cls, **facts):
    return cls(request(cls.Settings, **SMALL | facts))


class Fixed:
    """A student that answers [0, 0] whatever it sees, and counts how often its ranges are placed."""

    def __init__(self):
        self.bias = torch.zeros(2, requires_grad=True)
        self.fits = 0

    def __call__(self, x):
        return self.bias.expand(len(x), 2)

    def fit(self, images):
        self.fits += 1

    def parameters(self):
        return [self.bias]


def co(**settings):
    settings = {"co_training": True, "steps": 10, "student_warm_up": 0.0, "lr_drops": 0} | settings
    return CoTraining(Fixed(), GdfqSettings(**settings), classes=2)


@pytest.mark.parametrize(("over", "factor"), [("elements", 1 / 2), ("images", 1.0)])
def test_the_students_loss_worked_out_by_hand(over, factor):
    """At T = 2 the teacher's scores [2 ln 3, 0] are [3/4, 1/4], the student's [0, 0] are [1/2, 1/2]."""
    teacher = torch.tensor([[2 * log(3), 0.0]] * 2)
    half = co(
        student_temperature=2.0, student_distillation=5.0, student_cross_entropy=0.5,
        student_kl_over=over,
    )  # fmt: skip
    kl = 0.75 * log(1.5) + 0.25 * log(0.5)
    wanted = factor * 5.0 * 2.0**2 * kl + 0.5 * log(2)
    losses = half.step(torch.zeros(2, 1), teacher, torch.tensor([0, 1]), 0)
    assert float(losses["student"]) == pytest.approx(wanted, rel=1e-5)
    alone = half.loss(torch.zeros(2, 2), teacher, None)
    assert float(alone) == pytest.approx(wanted - 0.5 * log(2), rel=1e-5)


def test_the_first_step_is_that_of_nesterovs_momentum():
    """The cross entropy's gradient is softmax − label = [−1/2, 1/2]; the first step is 1.9 times that."""
    half = co(student_distillation=0.0, student_lr=0.1)
    half.step(torch.zeros(1, 1), torch.zeros(1, 2), torch.tensor([0]), 0)
    assert torch.allclose(half.student.bias.detach(), torch.tensor([0.5, -0.5]) * 1.9 * 0.1)


def test_its_weights_decay_by_a_ten_thousandth_of_themselves():
    """At [30, 30] the scores are even still; the gradient is [-1/2, 1/2] + 30 / 10 000."""
    half = co(student_distillation=0.0, student_lr=0.1)
    half.student.bias.data.fill_(30.0)
    half.step(torch.zeros(1, 1), torch.zeros(1, 2), torch.tensor([0]), 0)
    moved = half.student.bias.detach() - 30
    assert torch.allclose(moved, -1.9 * 0.1 * torch.tensor([-0.497, 0.503]), atol=1e-5)


class Says(Fixed):
    """A student that takes four images for these classes: 0, 1, 1, 0."""

    def __call__(self, x):
        return torch.tensor([[3.0, 1.0], [1.0, 2.0], [0.0, 9.0], [5.0, 4.0]]) + self.bias


def test_agreement_is_the_share_of_images_that_both_take_for_the_same():
    half = CoTraining(Says(), GdfqSettings(steps=10, student_warm_up=0.0), classes=2)
    teacher = torch.tensor([[2.0, 1.0], [1.0, 2.0], [1.0, 2.0], [2.0, 4.0]])  # 0, 1, 1, 1
    half.step(torch.zeros(4, 1), teacher, torch.tensor([0, 0, 0, 0]), 0)
    assert half.agreement == 0.75


def test_the_student_waits_for_the_warm_up_and_drops_its_rate_with_the_generator():
    half = co(steps=8, student_warm_up=0.25, lr_drops=1, student_lr=0.1)
    told, rates = [], []
    for step in range(8):
        rates.append(half._optimiser.optimizer.param_groups[0]["lr"])
        told.append(bool(half.step(torch.zeros(1, 1), torch.zeros(1, 2), torch.tensor([0]), step)))
        if step == 1:
            assert not half.student.bias.detach().any()
            assert half.student.fits == 0
    assert told == [False] * 2 + [True] * 6
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 4)


def test_ranges_are_placed_when_it_begins_and_again_from_time_to_time(monkeypatch):
    monkeypatch.setattr(co_training, "FIT_EVERY", 3)
    half = co(student_warm_up=0.2)
    fits = []
    for step in range(10):
        half.step(torch.zeros(1, 1), torch.zeros(1, 2), torch.tensor([0]), step)
        fits.append(half.student.fits)
    assert fits == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]


@GENERATORS
def test_the_student_learns_and_the_teacher_does_not(cls):
    teacher = ready(TinyResNet())
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    machine = make(cls, teacher=teacher, **WITH)
    told = [set(machine.step()) for _ in range(10)]
    assert all("student" in names for names in told)
    weights = machine.student_weights()
    moved = {name for name, weight in weights.items() if not torch.equal(weight, before[name])}
    assert moved == set(weights)
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
    assert 0 <= machine.readings()["student_agreement"] <= 1


@GENERATORS
def test_the_generator_does_not_notice_the_student(cls):
    alone, beside = make(cls), make(cls, **WITH)
    for _ in range(10):
        told = beside.step()
        del told["student"]
        assert told == alone.step()
    assert torch.equal(alone.images(), beside.images())
    assert not alone.student_weights()


def test_fdda_s_and_clusterq_s_students_are_their_papers_own():
    """FDDA for ImageNet: alpha 20, rate 1e-6, 50 of 400 epochs alone; ClusterQ for CIFAR-10: 10 of 400."""
    fdda, clusterq = Fdda.Settings(), Clusterq.Settings()
    assert (fdda.student_distillation, fdda.student_lr, fdda.student_warm_up) == (
        20,
        1e-6,
        50 / 400,
    )
    assert clusterq.student_warm_up == clusterq.warm_up == 10 / 400


def test_a_student_that_follows_the_teacher_comes_closer_to_it():
    machine = make(Gdfq, **WITH, student_cross_entropy=0.0, student_lr=1e-2, steps=40, lr_drops=0)
    losses = [float(machine.step()["student"]) for _ in range(40)]
    assert sum(losses[-10:]) < sum(losses[:10])


@GENERATORS
def test_on_the_same_images_what_the_student_minimises_falls(cls):
    """Of any of them, also where the generator runs away from it: the images are held fast here."""
    teacher, pictures = ready(TinyResNet()), images(8)
    machine = make(cls, teacher=teacher, **WITH, student_lr=1e-3, steps=30, lr_drops=0)
    asked = None if cls is Dafl else torch.arange(8) % 3
    with torch.no_grad():
        scores = teacher(pictures)
    losses = [
        float(machine.co_training.step(pictures, scores, asked, step)["student"])
        for step in range(30)
    ]
    assert all(loss < losses[0] for loss in losses[-5:])


def test_a_generator_that_is_told_no_class_teaches_none():
    """So it has no weight for that either."""
    names = [{knob["name"] for knob in describe(cls.Settings)} for cls in (Dafl, Gdfq)]
    assert names[1] - names[0] >= {"student_cross_entropy", "class_weight"}
    machine = make(Dafl, **WITH)
    taught = []
    machine.co_training.step = lambda images, teacher, labels, step: taught.append(labels) or {}
    machine.step()
    assert taught == [None]


def test_later_batches_only_draw_and_train_no_student():
    machine = make(Gdfq, **WITH, batch=1, memory=make(Gdfq).remember())
    assert machine.co_training is None


def test_a_fork_may_switch_it_on_or_off():
    static, beside = make(Gdfq), make(Gdfq, **WITH)
    for machine in (static, beside):
        machine.step()
    switched_on, switched_off = make(Gdfq, **WITH), make(Gdfq)
    switched_on.load_state_dict(static.state_dict())
    switched_off.load_state_dict(beside.state_dict())
    assert "student" in switched_on.step()
    assert all(each.fitted for each in switched_on.co_training.student._inputs().values())
    assert "student" not in switched_off.step()


@pytest.mark.parametrize(
    ("cls", "settings", "way_out"),
    [(Gdfq, WITH, "co_training=false"),
     (DeepInversion, {"competition_weight": 0.2}, "competition_weight=0")],
)  # fmt: skip
def test_without_a_student_it_is_refused_with_the_way_out(cls, settings, way_out):
    asked = replace(request(cls.Settings, **SMALL | settings), student=None)
    with pytest.raises(UserError, match=f"{cls.card.name}.*{way_out}"):
        cls(asked)


def test_no_hook_stays_when_the_student_breaks(monkeypatch):
    machine = make(Gdfq, **WITH)
    machine.step()
    student = machine.request.student
    monkeypatch.setattr(student.network.same.conv2, "forward", lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        machine.step()
    assert count_hooks(student) == 1  # the test's own stand-in
    assert count_hooks(machine.request.teacher) == 0


# --- DeepInversion's competition ----------------------------------------------------------------


def test_competition_pulls_towards_images_on_which_the_student_differs():
    machine = make(DeepInversion, competition_weight=10.0, class_weight=0.0, batchnorm_weight=0.0)
    told = [float(machine.step()["competition"]) for _ in range(10)]
    assert told[-1] < told[0]
    assert 0 <= told[-1] <= 10.0


def test_the_competing_student_does_not_learn():
    teacher = ready(TinyResNet())
    machine = make(DeepInversion, teacher=teacher, competition_weight=10.0)
    for _ in range(3):
        machine.step()
    weights = machine.request.student.weights()
    assert all(torch.equal(weights[name], p) for name, p in teacher.named_parameters())
    assert not machine.student_weights()


def test_without_weight_there_is_no_competition():
    assert "competition" not in make(DeepInversion).step()
