"""How statistics are compared, as settings: each choice by hand, and every method's own as its paper's."""

import itertools
from dataclasses import fields

import pytest
import torch
from torch import nn

from engine.core.method import describe
from engine.synthesis import discover_methods
from engine.synthesis.methods.dsg import Dsg, margins, noise_gaps
from engine.synthesis.methods.fdda import Fdda
from engine.synthesis.methods.gdfq import Gdfq
from engine.synthesis.methods.zeroq import ZeroQ
from tests.contracts.nets import request

FORM = ("scope", "second", "metric", "over_channels", "over_layers")
GDFQ = ("batch", "var", "squared", "mean", "mean")
# A norm is of all channels at once: its papers have nothing to say on `over_channels`.
PAPERS = {
    "zeroq": ("image", "std", "squared", "sum", "sum"),
    "dsg": ("image", "std", "squared", "sum", "sum"),
    "genie": ("batch", "std", "squared", "mean", "sum"),
    "deep-inversion": ("batch", "var", "norm", "mean", "sum"),
    "gdfq": GDFQ,
    "qimera": GDFQ,
    "intraq": GDFQ,
    "fdda": GDFQ,
    "clusterq": GDFQ,
    "gzsq": ("batch", "std", "z-score", "mean", "sum"),
    # The project's own choice, for want of the papers' formulas.
    "aac": GDFQ,
    "gznq": ("moving", "var", "squared", "mean", "sum"),
}
KL = {
    "gdfq": "elements", "qimera": "elements", "fdda": "images", "clusterq": "images", "dafl": "images",
}  # fmt: skip
METHODS = discover_methods()


def knobs(name):
    return {knob["name"]: knob for knob in describe(METHODS[name].Settings)}


def those_with(knob):
    return {name for name, cls in METHODS.items() if knob in {f.name for f in fields(cls.Settings)}}


def make(cls, **facts):
    return cls(request(cls.Settings, **{"steps": 2, "width": 16, "latent": 8} | facts))


# --- the papers' own ------------------------------------------------------------------------------


def test_every_method_with_the_term_stands_in_the_table():
    assert those_with("scope") == {*PAPERS}
    assert those_with("student_kl_over") == {*KL}


@pytest.mark.parametrize("name", PAPERS)
def test_its_statistics_are_its_papers_with_any_effort(name):
    for effort in ("paper", "standard", "quick"):
        assert tuple(knobs(name)[knob]["presets"][effort] for knob in FORM) == PAPERS[name]


@pytest.mark.parametrize("name", KL)
def test_its_distillation_is_averaged_as_in_its_paper(name):
    assert set(knobs(name)["student_kl_over"]["presets"].values()) == {KL[name]}


@pytest.mark.parametrize("name", PAPERS)
def test_the_form_shows_them_last(name):
    assert [*knobs(name)][-6:] == [*FORM, "present"]


# --- every choice by hand -------------------------------------------------------------------------


def arriving(teacher, images):
    """Each BatchNorm layer and what arrives there, seen by plain hooks, in the order of execution."""
    found = []

    def see(module, given):
        found.append((module, given[0].double()))

    norms = [layer for layer in teacher.modules() if isinstance(layer, nn.BatchNorm2d)]
    handles = [layer.register_forward_pre_hook(see) for layer in norms]
    teacher(images)
    for handle in handles:
        handle.remove()
    return found


def moments(x, second):
    """Mean and spread per channel of [channels, values]."""
    return x.mean(1), x.std(1) if second == "std" else x.var(1, correction=0)


def by_hand(teacher, images, scope, second, metric, over_channels, over_layers):
    """The distance, in plain loops over layers and images."""
    per_layer = []
    for layer, x in arriving(teacher, images):
        second = "std" if metric == "z-score" else second
        target = (layer.running_mean.double(), layer.running_var.double())
        target = (target[0], target[1].sqrt() if second == "std" else target[1])
        groups = [x] if scope != "image" else x.split(1)
        losses = []
        for group in groups:
            seen = moments(group.transpose(0, 1).flatten(1), second)
            gaps = [a - b for a, b in zip(seen, target, strict=True)]
            if metric == "norm":
                losses.append(sum(gap.square().sum().sqrt() for gap in gaps))
                continue
            if metric == "squared":
                channels = gaps[0] ** 2 + gaps[1] ** 2
            else:
                channels = gaps[0].abs() / (seen[1] ** 2 + target[1] ** 2).sqrt()
                channels = channels + gaps[1].abs() / (seen[1] + target[1])
            losses.append(channels.mean() if over_channels == "mean" else channels.sum())
        per_layer.append(sum(losses) / len(losses))
    total = sum(per_layer)
    return float(total if over_layers == "sum" else total / len(per_layer))


@pytest.mark.parametrize("scope", ["image", "batch", "moving"])
@pytest.mark.parametrize("second", ["std", "var"])
@pytest.mark.parametrize("metric", ["squared", "norm", "z-score"])
def test_every_form_of_the_term_is_that_of_plain_loops(scope, second, metric):
    """The first step of a moving average is the batch."""
    for over in itertools.product(("mean", "sum"), repeat=2):
        form = dict(zip(FORM, (scope, second, metric, *over), strict=True))
        machine = make(ZeroQ, start="gaussian", **form)
        pixels = machine.parts.canvas.pixels.detach().clone()
        found = float(machine.step()["batchnorm"])
        assert found == pytest.approx(by_hand(machine.request.teacher, pixels, **form), rel=1e-3)


def test_a_moving_average_holds_its_share_of_the_present_batch():
    machine = make(ZeroQ, start="gaussian", scope="moving", present=0.25)
    teacher, parts = machine.request.teacher, []
    for _ in range(2):
        pixels = machine.parts.canvas.pixels.detach().clone()
        parts.append([
            moments(x.transpose(0, 1).flatten(1), "std") for _, x in arriving(teacher, pixels)
        ])  # fmt: skip
        found = float(machine.step()["batchnorm"])
    wanted = 0.0
    layers = [layer for layer, _ in arriving(teacher, pixels)]
    for layer, first, second in zip(layers, *parts, strict=True):
        mean, std = (0.75 * a + 0.25 * b for a, b in zip(first, second, strict=True))
        wanted += (mean - layer.running_mean).square().sum()
        wanted += (std - layer.running_var.sqrt()).square().sum()
    assert found == pytest.approx(float(wanted), rel=1e-3)


WITHOUT_EFFECT = {("norm", "over_channels"), ("z-score", "second")}


@pytest.mark.parametrize("name", PAPERS)
def test_every_choice_that_a_method_offers_is_honoured(name):
    def losses(**settings):
        machine = make(METHODS[name], noise_images=16, **settings)
        return [machine.step() for _ in range(2)]

    usual, own = losses(), dict(zip(FORM, PAPERS[name], strict=True))
    for knob, choice in own.items():
        for other in {*knobs(name)[knob]["choices"]} - {choice}:
            same = (own["metric"], knob) in WITHOUT_EFFECT
            assert (losses(**{knob: other}) == usual) == same, (knob, other)


# --- what goes with them --------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["std", "var"])
def test_dsg_s_margins_are_of_the_spread_that_is_compared(second):
    asked = request(Dsg.Settings, noise_images=32, percentile=0.5, second=second, seed=4)
    state = asked.rng.get_state()
    found_margins = margins(noise_gaps(asked), asked.settings)
    noise = torch.randn(32, 3, 8, 8, generator=asked.rng.set_state(state))
    for (layer, x), (_, found) in zip(arriving(asked.teacher, noise), found_margins, strict=True):
        spread = moments(x.transpose(0, 1).flatten(1), second)[1]
        stored = layer.running_var.sqrt() if second == "std" else layer.running_var
        assert found == pytest.approx(float((spread - stored).abs().quantile(0.5)), rel=1e-3)
    within = make(Dsg, percentile=1.0, slack=5.0, second=second)
    within.step()
    assert within.readings() == {"inside_slack": 1.0}


def test_dsg_stresses_no_layer_where_statistics_are_of_no_single_image():
    emphasised, batch = make(Dsg), make(Dsg, scope="batch")
    assert not emphasised.notes
    assert any("layer emphasis" in note for note in batch.notes)
    assert batch.step() == make(Dsg, scope="batch", emphasis=False).step()


def test_fdda_s_class_terms_take_the_same_form():
    usual, other = (make(Fdda, **form).step() for form in ({}, {"over_layers": "sum"}))
    layers = 5  # of the deeper half, of 6
    assert float(other["central"]) == pytest.approx(layers * float(usual["central"]), rel=1e-5)
    assert float(other["batchnorm"]) == pytest.approx(6 * float(usual["batchnorm"]), rel=1e-5)


def test_a_student_s_distillation_over_elements_counts_less_by_the_classes():
    alone = {"co_training": True, "student_warm_up": 0.0, "student_cross_entropy": 0.0}
    images, elements = (
        float(make(Gdfq, student_kl_over=over, **alone).step()["student"])
        for over in ("images", "elements")
    )
    assert images == pytest.approx(3 * elements, rel=1e-5)


def test_a_fork_that_compares_the_other_spread_has_its_margins_of_the_very_same_noise():
    first = make(Dsg, noise_images=16)
    first.step()
    for second in ("std", "var"):
        fork = make(Dsg, noise_images=16, second=second, seed=5)
        fork.load_state_dict(first.state_dict())
        asked = make(Dsg, noise_images=16, second=second)  # the first's noise, measured so at once
        assert fork._statistics.slack == asked._statistics.slack


def test_a_fork_that_compares_the_other_spread_begins_its_average_anew():
    first = make(ZeroQ, scope="moving")
    first.step()
    for changes, kept in (({}, True), ({"second": "var"}, False), ({"metric": "norm"}, True)):
        fork = make(ZeroQ, scope="moving", **changes)
        fork.load_state_dict(first.state_dict())
        assert bool(fork.parts.losses["batchnorm"][1]._average) == kept
