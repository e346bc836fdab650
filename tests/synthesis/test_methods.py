"""What each method adds to the common loop: margins, centres, the best images, bounds, options."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.core.errors import UserError
from engine.core.method import describe
from engine.core.sampling.randomness import stream
from engine.synthesis.augmentations import LocalCrop, low_pass
from engine.synthesis.methods.aac import Aac
from engine.synthesis.methods.deep_inversion import DeepInversion
from engine.synthesis.methods.dsg import Dsg, margins, noise_gaps
from engine.synthesis.methods.fdda import Fdda
from engine.synthesis.methods.genie import Genie
from engine.synthesis.methods.gznq import Gznq
from engine.synthesis.methods.gzsq import Gzsq
from engine.synthesis.methods.intraq import IntraQ
from engine.synthesis.methods.qimera import Qimera
from engine.synthesis.methods.zeroq import ZeroQ
from engine.synthesis.statistics.batchnorm import bn_gap
from tests.contracts.nets import TinyResNet, ready, request
from tests.toys import ConvWithoutBn


def make(cls, teacher=None, **facts):
    return cls(request(cls.Settings, teacher, **facts))


def stepped(cls, take=3, teacher=None, **facts):
    machine = make(cls, teacher, **{"steps": take} | facts)
    losses = [machine.step() for _ in range(take)]
    return machine, losses


# --- every part can be switched off by itself -----------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "settings", "terms"),
    [
        (ZeroQ, {}, {"batchnorm", "image"}),
        (ZeroQ, {"image_weight": 0.0}, {"batchnorm"}),
        (Dsg, {}, {"batchnorm", "image"}),
        (
            Dsg,
            {"correlation_weight": 1.0, "class_weight": 2.0, "tv_weight": 0.01, "l2_weight": 0.01},
            {"batchnorm", "image", "correlation", "class", "smoothness", "magnitude"},
        ),
        (Dsg, {"correlation_weight": 1.0, "correlation": "spectrum"}, {"batchnorm", "image", "correlation"}),
        (DeepInversion, {}, {"class", "batchnorm", "smoothness"}),
        (DeepInversion, {"tv_weight": 0.0, "class_weight": 0.0}, {"batchnorm"}),
        (IntraQ, {}, {"batchnorm", "class"}),
        (Aac, {}, {"class", "logit", "batchnorm", "smoothness"}),
        (Aac, {"batchnorm_weight": 0.0, "tv_weight": 0.0}, {"class", "logit"}),
        (Gzsq, {"image_weight": 0.0}, {"weights"}),
    ],
)  # fmt: skip
def test_a_weight_of_0_switches_a_term_off(cls, settings, terms):
    assert set(make(cls, **settings).step()) == terms


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (ZeroQ, {"scope": "batch", "start": "gaussian"}),
        (ZeroQ, {"scope": "moving", "metric": "z-score"}),
        (Dsg, {"scope": "moving", "second": "var", "metric": "norm"}),
        (DeepInversion, {"warm_up": 2, "flip": True, "coarse": 0.5, "clamp": True, "l2_weight": 1e-5}),
        (Dsg, {"slack": 0.0, "emphasis": False}),
        (Dsg, {"correlation_weight": 1.0, "correlation": "spectrum"}),
        (IntraQ, {"least_share": 0.5}),
        (IntraQ, {"crop": 0.0, "margin_weight": 0.0, "least_share": 1.0}),
        (Gzsq, {"noise_images": 16}),
        (Gzsq, {"targets": "literal", "spread_weight": 0.0, "bounded": False}),
        (Genie, {"optimise": "pixels"}),
        (Genie, {"optimise": "generator", "swing": False}),
        (Genie, {"stretch": True, "low_pass": 3.0}),
    ],
)  # fmt: skip
def test_every_option_resumes_to_the_same_numbers(cls, settings):
    straight, losses = stepped(cls, 6, **settings)
    first, _ = stepped(cls, 3, steps=6, **settings)
    second = make(cls, seed=9, steps=6, **settings)
    second.load_state_dict(first.state_dict())
    again = [second.step() for _ in range(3)]
    assert again == losses[3:]
    assert torch.equal(second.images(), straight.images())


# --- DeepInversion --------------------------------------------------------------------------------


def test_the_first_layer_has_a_weight_of_its_own_and_every_other_1():
    machine = make(DeepInversion, first_weight=10.0)
    _, statistics = machine.parts.losses["batchnorm"]
    layers = len(machine.request.stored.paths)
    assert statistics.layer_weights == [10.0, *[1.0 for _ in range(layers - 1)]]


# --- DSG ------------------------------------------------------------------------------------------


def test_margins_are_a_percentile_of_what_noise_misses():
    teacher = ready(TinyResNet())
    asked = request(Dsg.Settings, teacher, noise_images=100, percentile=0.5, slack=2.0, seed=4)
    found_margins = margins(noise_gaps(asked), asked.settings)
    noise = torch.cat([
        torch.randn(size, 3, 8, 8, generator=rng) for rng in [stream(4, "contract")] for size in (64, 36)
    ])  # fmt: skip
    seen = asked.stored.observe(teacher, noise)
    for found, moments, stored in zip(
        found_margins, seen.moments, asked.stored.moments, strict=True
    ):
        mean = np.quantile((moments.mean - stored.mean).abs().numpy(), 0.5)
        std = np.quantile((moments.std - stored.std).abs().numpy(), 0.5)
        assert found == pytest.approx((2 * mean, 2 * std), rel=1e-3, abs=1e-4)


def test_a_fork_has_the_slack_it_asks_for_of_the_very_noise_that_was_measured():
    first, _ = stepped(Dsg, 2, steps=6, slack=1.0, percentile=0.5)
    state = first.state_dict()
    forked = make(Dsg, seed=9, steps=6, slack=3.0, percentile=0.5)
    forked.load_state_dict(state)
    pairs = zip(first._statistics.slack, forked._statistics.slack, strict=True)
    assert all(b == pytest.approx((3 * a[0], 3 * a[1])) for a, b in pairs)
    without = make(Dsg, seed=9, steps=6, slack=0.0)
    without.load_state_dict(state)
    assert without._statistics.slack is None


def test_noise_lies_within_its_own_widest_margins():
    machine = make(Dsg, percentile=1.0, slack=5.0)
    machine.step()
    assert machine.readings() == {"inside_slack": 1.0}


def test_without_slack_and_emphasis_dsg_is_zeroq():
    plain = make(Dsg, slack=0.0, emphasis=False, seed=3).step()
    zeroq = make(ZeroQ, start="gaussian", seed=3).step()
    assert plain == zeroq


def test_a_class_term_asks_for_a_classifier():
    with pytest.raises(UserError, match=r"'dsg' with a class term.*class_weight=0"):
        make(Dsg, class_weight=1.0, classes=0)


# --- DeepInversion, AAC, IntraQ -------------------------------------------------------------------


def test_deep_inversion_keeps_the_images_of_the_least_loss():
    jumpy = {"lr": 3.0, "betas": "0.5/0.9"}  # the loss jumps about
    machine = make(DeepInversion, steps=30, jitter=0, **jumpy)
    totals, shown = [], []
    for _ in range(30):
        shown.append(machine.parts.canvas.render(None).detach().clone())
        totals.append(float(sum(machine.step().values())))
    best = int(np.argmin(totals))
    assert best != 29, "the last is to be told from the best"
    assert torch.equal(machine.images(), shown[best])


def test_deep_inversion_shifts_half_as_many_pixels_at_half_size():
    """Four each way of 16 are two each way of 8: the paper's 30 at full size and 15 at half."""
    machine = make(DeepInversion, shape=(2, 3, 16, 16), jitter=4, coarse=0.5, steps=10)
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:10, 8:10] = 1.0  # one pixel at half size
    for step, wanted in ((0, {2, 3, 4, 5, 6}), (9, {4, 5, 6, 7, 8, 9, 10, 11, 12, 13})):
        rows, rng = set(), stream(0, "shifts")
        for _ in range(60):
            shown = image
            for transform in machine.parts.transforms:
                shown = transform(shown, rng, step)
            rows |= set(shown[0, 0].sum(1).nonzero().flatten().tolist())
        assert rows == wanted


@pytest.mark.parametrize(
    ("settings", "betas"),
    [({}, (0.9, 0.999)), ({"betas": "0.5/0.9"}, (0.5, 0.9))],
    ids=["CIFAR-10", "ImageNet"],
)
def test_deep_inversion_has_the_betas_of_its_recipe(settings, betas):
    optimiser = make(DeepInversion, **settings).parts.optimisers["pixels"].optimizer
    assert optimiser.param_groups[0]["betas"] == betas


def test_what_was_best_by_other_weights_is_not_the_best_of_a_fork():
    first, _ = stepped(DeepInversion, 3, steps=6)
    forked = make(DeepInversion, steps=6, class_weight=100.0)
    forked.load_state_dict(first.state_dict())
    before = forked.parts.canvas.render(None).detach().clone()
    assert float(sum(forked.step().values())) > first._least
    assert torch.equal(forked.images(), before)


@pytest.mark.parametrize(
    ("cls", "weights"),
    [(IntraQ, ("batchnorm", "class", "margin")), (Gznq, ("bn", "class", "tv"))],
)
def test_where_every_weight_is_0_it_says_which_to_set(cls, weights):
    with pytest.raises(UserError, match=r"has nothing to minimise.*synthesis\.class_weight"):
        make(cls, **{f"{name}_weight": 0.0 for name in weights})


def test_fdda_may_live_by_its_class_centres_alone():
    stepped(Fdda, 1, class_weight=0.0, bn_weight=0.0)
    off = dict.fromkeys(("class_weight", "bn_weight", "central_weight", "blurred_weight"), 0.0)
    with pytest.raises(UserError, match=r"'fdda' has nothing to minimise.*central_weight"):
        make(Fdda, **off)


def test_aac_stays_within_black_and_white():
    machine, _ = stepped(Aac, 8, lr=1.0)
    low, high = machine.request.low, machine.request.high
    made = machine.images()
    assert (made >= low).all()
    assert (made <= high).all()
    assert torch.isclose(made, high).any(), "the bounds are at work"


def test_aac_works_without_batchnorm():
    class Classes(ConvWithoutBn):
        def forward(self, x):
            mean = super().forward(x)
            return torch.cat([mean, -mean], 1)

    teacher = Classes().eval().requires_grad_(False)
    _, losses = stepped(Aac, 4, teacher, shape=(8, 1, 8, 8), classes=2)
    assert set(losses[0]) == {"class", "logit", "smoothness"}
    without, chosen = (
        make(Aac, teacher, shape=(8, 1, 8, 8), classes=2, batchnorm_weight=weight).notes
        for weight in (1.0, 0.0)
    )
    assert without == ["AAC: no BatchNorm here, so the anchor is left out (the pure variant)."]
    assert not chosen
    assert not make(Aac).notes


def test_intraq_keeps_the_centre_of_every_class_over_all_batches():
    teacher = ready(TinyResNet())
    memory, images, labels = {}, [], []
    for batch in range(3):
        machine, losses = stepped(
            IntraQ, 2, teacher, batch=batch, memory=memory, seed=batch, handed="plain"
        )
        assert ("margin" in losses[0]) == (batch > 0)
        images.append(machine.images())  # plain ones: that is what centres are of
        labels.append(machine.labels())
        memory = machine.remember()
    features = teacher.head[:2](teacher.same(teacher.down(teacher.stem(torch.cat(images)))))
    for label in range(3):
        mine = features[torch.cat(labels) == label]
        assert memory["counts"][label] == len(mine)
        assert torch.allclose(memory["sums"][label], mine.sum(0), atol=1e-4)


def test_intraq_says_that_its_first_batch_has_no_margins():
    teacher = ready(TinyResNet())
    first, _ = stepped(IntraQ, 1, teacher)
    (note,) = first.notes
    assert "first batch" in note
    assert "synthesis.batch" in note
    assert not make(IntraQ, teacher, batch=1, memory=first.remember()).notes
    assert not make(IntraQ, teacher, margin_weight=0.0).notes


def test_intraq_s_least_distance_is_not_above_its_greatest():
    with pytest.raises(UserError, match=r"synthesis\.lower is 0\.9.*synthesis\.upper, 0\.8"):
        make(IntraQ, lower=0.9)
    make(IntraQ, lower=0.9, margin_weight=0.0)
    make(IntraQ, lower=0.8, upper=0.8)


def test_intraq_hands_on_crops_of_its_images_and_they_agree_better():
    """Where every step sees crops, statistics hold for crops: that is what quantization should see."""
    shape = (16, 3, 16, 16)
    cropped, _ = stepped(IntraQ, 40, shape=shape, crop=1.0)
    plain, _ = stepped(IntraQ, 40, shape=shape, crop=1.0, handed="plain")
    gaps = [
        sum(
            bn_gap(
                one.request.stored.observe(one.request.teacher, one.images()), one.request.stored
            )
        )
        for one in (cropped, plain)
    ]
    assert gaps[0] < gaps[1]
    crop = LocalCrop(probability=1.0)
    assert torch.equal(
        cropped.images(), crop(plain.images(), stream(cropped.request.batch, "intraq", "handed"), 0)
    )
    assert torch.equal(cropped.images(), cropped.images())


def test_intraq_shows_plain_images_while_it_works_and_hands_them_on_without_crops():
    growing, _ = stepped(IntraQ, 2, steps=3)
    assert torch.equal(growing.images(), growing._images)
    never, _ = stepped(IntraQ, 2, crop=0.0)
    assert torch.equal(never.images(), never._images)


def test_half_of_intraq_s_images_aim_at_certainty():
    wanted = make(IntraQ, shape=(400, 3, 8, 8), least_share=0.6).parts.losses["class"][1].wanted
    assert 140 < (wanted == 1).sum() < 260
    assert 0.6 <= wanted.min() < 0.65


def test_qimera_s_latent_counts_only_where_embeddings_start_at_random():
    """Else a latent has as many entries as the classifier reads, and the help says so."""
    (knob,) = [one for one in describe(Qimera.Settings) if one["name"] == "latent"]
    assert "only where embeddings start at random" in knob["help"]
    for embeddings, same in (("classifier", True), ("random", False)):
        settings = {"steps": 1, "width": 16, "embeddings": embeddings}
        one, other = (make(Qimera, **settings, latent=latent).images() for latent in (8, 16))
        assert torch.equal(one, other) == same


# --- GZSQ, GENIE's options, images from elsewhere --------------------------------------------------


def test_gzsq_s_card_says_that_it_is_inspired_by_its_paper():
    assert Gzsq.card.title.endswith("(inspired by)")
    assert Gzsq.card.paper.startswith("Inspired by Sharma")


def test_gzsq_needs_no_batchnorm():
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3)]
    teacher = ready(nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3)))
    machine, losses = stepped(Gzsq, 30, teacher, lr=0.05)
    assert machine.latest.moments == []
    assert float(losses[-1]["weights"]) < float(losses[0]["weights"])


def test_gzsq_aims_at_the_same_statistics_in_every_batch_and_run():
    machines = [make(Gzsq, seed=seed, noise_images=32) for seed in (0, 1)]
    one, other = (machine.parts.losses["weights"][1].targets for machine in machines)
    assert all(torch.equal(a.mean, b.mean) for a, b in zip(one, other, strict=True))
    assert not torch.equal(*(machine.parts.canvas.pixels for machine in machines))


def test_gzsq_keeps_pixels_valid_unless_told_not_to():
    for bounded in (True, False):
        machine, _ = stepped(Gzsq, 3, noise_images=32, bounded=bounded)
        low, high = machine.request.low, machine.request.high
        pixels = machine.parts.canvas.pixels
        assert bool(((pixels >= low) & (pixels <= high)).all()) == bounded


def test_the_low_pass_is_for_finished_images_only():
    plain, filtered = (make(Genie, steps=3, low_pass=cutoff) for cutoff in (0.0, 2.0))
    for _ in range(2):
        plain.step(), filtered.step()
        assert torch.equal(plain.images(), filtered.images())
    plain.step(), filtered.step()
    assert torch.equal(filtered.images(), low_pass(plain.images(), 2.0))


def test_a_generator_alone_learns_no_latents():
    machine = make(Genie, optimise="generator")
    before = machine.state_dict()["canvas"]["z"].clone()
    machine.step()
    assert set(machine.parts.optimisers) == {"g"}
    assert torch.equal(machine.state_dict()["canvas"]["z"], before)
