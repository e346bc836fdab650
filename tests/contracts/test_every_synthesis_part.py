"""Every part of every synthesis method can be switched off by itself, and is gone then.

What switches it off is declared on its knob; a new part is tested by being declared.
"""

import re
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.core.method import describe
from engine.run.recipes.settings import checked
from engine.synthesis import discover_methods
from engine.synthesis.augmentations import Coarse, Flip, LocalCrop, Roll
from engine.synthesis.canvas import Pixels
from engine.synthesis.classifier import classifier_rows
from engine.synthesis.generators.latent_images import LatentImages
from engine.synthesis.statistics.classwise import ClassMemory
from engine.synthesis.statistics.moments import Moments
from tests.contracts.nets import request
from tests.contracts.test_every_synthesis_method import folder

METHODS = discover_methods()
STEPS = 4
KNOBS = {
    name: {knob["name"]: knob for knob in describe(METHODS[name].Settings)} for name in METHODS
}
PARTS = [
    (name, knob, off) for name in METHODS for knob in KNOBS[name].values() for off in knob["off"]
]
STUDENT = {"co_training": True, "student_warm_up": 0.5}
# At work even where a quick budget, or the paper's own recipe, has it off.
ON = {
    "margin_weight": {"margin_weight": 1.0, "memory": True}, "lower": {"memory": True},
    "upper": {"memory": True}, "low_pass": {"low_pass": 3.0}, "stretch": {"stretch": True},
    "coarse": {"coarse": 0.5}, "warm_up": {"warm_up": 0.5}, "clamp": {"clamp": True},
    "frozen": {"frozen": True}, "first_weight": {"first_weight": 10.0},
    "recognised": {"images_per_class": 8}, "beta": {"warm_up": 0.0, "pace": 1 / STEPS},
    **{name: STUDENT for name in KNOBS["gdfq"] if name.startswith("student_") or name == "co_training"},
    "student_cross_entropy": STUDENT | {"student_cross_entropy": 1.0},
    "student_distillation": STUDENT | {"student_cross_entropy": 1.0},
}  # fmt: skip
ON_OF = {
    ("deep-inversion", "warm_up"): {"warm_up": 2}, ("deep-inversion", "flip"): {"flip": True},
    ("external", "flip"): {"flip": 1.0},
}  # fmt: skip


def make(name, **settings):
    given = {"steps": STEPS, "width": 16, "latent": 8, "noise_images": 16, "folder": folder().name}
    facts = {}
    if settings.pop("memory", False):
        first = METHODS[name](request(METHODS[name].Settings, **given))
        run(first)
        facts = {"batch": 1, "memory": first.remember()}
    asked = request(METHODS[name].Settings, **given | settings)
    return METHODS[name](
        request(METHODS[name].Settings, **given | settings, **facts) if facts else asked
    )


def run(machine):
    return [machine.step() for _ in range(machine.total_steps)]


def shown_through(kind):
    return lambda machine: any(isinstance(one, kind) for one in machine.parts.transforms)


def loss(machine, name):
    return machine.parts.losses[name][1]


def centre_loss(machine):
    return (
        machine._of_one["blurred"][1] if hasattr(machine, "_of_one") else loss(machine, "centroid")
    )


def blurred(machine):
    """Whether a centre's means and variances are blurred."""
    centre = Moments(torch.zeros(3, 4), torch.ones(3, 4))
    blur = centre_loss(machine).blur
    if blur is None:
        return False, False
    mean, variance = blur.of(centre, centre, torch.Generator().manual_seed(0))
    return bool((mean != 0).any()), bool((variance != 1).any())


def moved_centroids(machine):
    """How far, of the way to an epoch's own moments, its centroids have moved at its end."""
    shares, move = [], ClassMemory.move_towards

    def spy(self, fresh, beta):
        known = (self.count > 0) & (fresh.count > 0)
        old = self.layers[-1].mean[known] if self.layers else None
        move(self, fresh, beta)
        if old is not None and known.any():
            way = fresh.layers[-1].mean[known] - old
            shares.append(float(((self.layers[-1].mean[known] - old) / way).nanmedian()))

    ClassMemory.move_towards = spy
    try:
        run(machine)
    finally:
        ClassMemory.move_towards = move
    assert shares, "no centroid was known twice"
    return 1e-4 < shares[-1] < 1 - 1e-4


def rates_change(name):
    def changes(machine):
        optimiser = machine.parts.optimisers[name].optimizer
        seen = {optimiser.param_groups[0]["lr"]}
        for _ in range(machine.total_steps):
            machine.step()
            seen.add(optimiser.param_groups[0]["lr"])
        return len(seen) > 1

    return changes


def student_reads(what):
    """Whether the student's loss depends on the labels, or on the teacher's scores."""

    def reads(machine):
        rng = torch.Generator().manual_seed(0)
        scores, teacher = torch.randn(2, 8, 3, generator=rng)
        labels = torch.arange(8) % 3
        of = machine.co_training.loss
        other = (scores, teacher, labels.flip(0)) if what == "labels" else (scores, scores, labels)
        return not torch.equal(of(scores, teacher, labels), of(*other))

    return reads


def costs_at(distance):
    """Whether features at that cosine distance from their class's centre cost something."""

    def costs(machine):
        margin = machine._losses["margin"][1]
        labels = margin.known.nonzero()[:, 0]
        features = margin.centres[labels] * (1 - distance)
        return bool(
            margin(SimpleNamespace(seen=SimpleNamespace(features=features), target=labels)) > 1e-4
        )

    return costs


def mirrored(machine):
    return not torch.equal(machine.images(), make("external").images())


def starts_from_the_classifier(machine):
    rows = classifier_rows(machine.request.teacher, machine.request.shape[1:])
    table = machine.canvas.embedding.table.weight
    return table.shape == rows.shape and torch.equal(table, rows)


def is_known_by_all(machine):
    return int(machine.centres.count.sum()) < machine.request.shape[0]


# Whether the part is there, by setting, or by method and setting; of a weight: by its term.
IS_THERE = {
    "swing": lambda m: m.parts.model is not None,
    "stretch": lambda m: m.parts.canvas.scale is not None,
    "low_pass": lambda m: m.parts.finish is not None,
    "crop": shown_through(LocalCrop), "roll": shown_through(Roll), "jitter": shown_through(Roll),
    "flip": shown_through(Flip), "coarse": shown_through(Coarse),
    "clamp": lambda m: m.parts.canvas._bounds is not None,
    "bounded": lambda m: m.parts.canvas._bounds is not None,
    "co_training": lambda m: m.co_training is not None and "student" in run(m)[-1],
    "student_warm_up": lambda m: "student" not in m.step(),
    "student_cross_entropy": student_reads("labels"),
    "student_distillation": student_reads("scores"),
    "lr_drops": rates_change("generator"),
    ("deep-inversion", "warm_up"): rates_change("pixels"),
    ("deep-inversion", "first_weight"): lambda m: len(set(loss(m, "batchnorm").layer_weights)) > 1,
    ("dsg", "slack"): lambda m: loss(m, "batchnorm").slack is not None,
    ("dsg", "emphasis"): lambda m: loss(m, "batchnorm").image_weights is not None,
    ("external", "flip"): mirrored,
    ("genie", "optimise"): lambda m: {*m.parts.optimisers} == {"z", "g"} and m.parts.canvas.z.requires_grad,
    ("gznq", "optimise"): lambda m: isinstance(m.parts.canvas, LatentImages),
    ("gznq", "present"): lambda m: loss(m, "batchnorm").momentum < 1,
    ("gzsq", "spread_weight"): lambda m: bool(
        loss(m, "weights").spread_weight and loss(m, "image")._spread_weight
    ),
    ("clusterq", "noise"): lambda m: all(blurred(m)),
    ("clusterq", "warm_up"): lambda m: m._warm_up > 0,
    ("clusterq", "beta"): moved_centroids,
    "layers": lambda m: len(centre_loss(m).layers) < len(m.request.stored.moments),
    ("fdda", "noise_mean"): lambda m: blurred(m)[0],
    ("fdda", "noise_variance"): lambda m: blurred(m)[1],
    ("fdda", "recognised"): is_known_by_all,
    ("intraq", "least_share"): lambda m: bool((m._soft.wanted < 1).any()),
    ("intraq", "lower"): costs_at(0.0), ("intraq", "upper"): costs_at(2.0),
    ("intraq", "handed"): lambda m: m.parts.finish is not None,
    ("qimera", "superposed"): lambda m: not all(m.draw_classes(8).single for _ in range(30)),
    ("qimera", "mapped"): lambda m: isinstance(m.canvas.embedding.mapping, nn.Linear),
    ("qimera", "embeddings"): starts_from_the_classifier,
    ("qimera", "frozen"): lambda m: not m.canvas.embedding.table.weight.requires_grad,
}  # fmt: skip


@pytest.mark.extended
@pytest.mark.parametrize(
    ("name", "knob", "off"),
    PARTS,
    ids=lambda one: one["name"] if isinstance(one, dict) else str(one),
)
def test_a_part_that_is_off_is_gone(name, knob, off):
    setting = knob["name"]
    assert checked(knob, off, setting) == off
    on = ON_OF.get((name, setting), ON.get(setting, {}))
    with_it, without = make(name, **on), make(name, **on | {setting: off})
    pixels = [getattr(getattr(one, "parts", None), "canvas", None) for one in (with_it, without)]
    if all(isinstance(one, Pixels) for one in pixels):
        bounds = with_it.request.low, with_it.request.high
        starts = [one.pixels.clamp(*bounds) for one in pixels]
        assert torch.equal(*starts), "another start is another difference"
    is_there = IS_THERE.get((name, setting), IS_THERE.get(setting))
    if is_there is not None:
        assert is_there(with_it)
        assert not is_there(without)
        return
    assert "weight" in setting.split("_"), "say above by what its part is to be seen"
    if not on:
        with_it = make(name, **{setting: 1.0})
    here, left = set(with_it.step()), set(without.step())
    assert left < here
    assert len(here - left) == 1


@pytest.mark.extended
@pytest.mark.parametrize("name", METHODS)
def test_a_part_is_within_another_that_can_be_off_and_does_nothing_there(name):
    for knob in KNOBS[name].values():
        if not knob["within"]:
            continue
        outer = KNOBS[name][knob["within"]]
        assert outer["off"], knob["name"]
        values = [knob["default"], *knob["off"]]
        made = []
        for value in values:
            machine = make(name, **{outer["name"]: outer["off"][0], knob["name"]: value})
            run(machine)
            made.append(machine.images())
        assert all(torch.equal(one, made[0]) for one in made), knob["name"]


WEIGHTED = {
    name: weights
    for name, knobs in KNOBS.items()
    if (weights := [one for one in knobs if one.endswith("_weight") and 0.0 in knobs[one]["off"]])
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_with_every_loss_off_it_is_refused_and_says_which_weights_there_are(name):
    with pytest.raises(UserError, match="has nothing to minimise: set a weight above 0") as caught:
        make(name, **dict.fromkeys(WEIGHTED[name], 0.0))
    told = str(caught.value)
    assert name in told
    offered = re.findall(r"synthesis\.(\w+)", told)
    assert offered
    for (
        weight
    ) in offered:  # each alone is a way out; some weights need another's part beside theirs
        make(name, **dict.fromkeys(WEIGHTED[name], 0.0) | {weight: 1.0})
    assert "\n" not in told


@pytest.mark.parametrize("name", [name for name in KNOBS if "co_training" in KNOBS[name]])
def test_with_nothing_to_teach_a_student_is_refused(name):
    off = {"student_distillation": 0.0, "student_cross_entropy": 0.0}
    with pytest.raises(UserError, match=r"nothing to teach.*synthesis\.student_distillation"):
        make(name, co_training=True, **off)
    make(name, **off)
