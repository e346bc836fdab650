"""Transforms, labels, schedules and canvases: the parts that a composition is made of."""

from itertools import pairwise

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.synthesis.augmentations import Coarse, Flip, LocalCrop, Roll, low_pass
from engine.synthesis.canvas import Pixels
from engine.synthesis.generators.latent_images import LatentImages
from engine.synthesis.methods.genie import GenieSettings
from engine.synthesis.schedules import Optimiser, Plateau, cosine, exponential, multistep, steady
from engine.synthesis.target_classes import POLICIES, balanced, one_class, uniform
from tests.contracts.nets import request


def picture(count=4, side=16):
    return torch.randn(count, 2, side, side, generator=torch.Generator().manual_seed(3))


# --- transforms ---------------------------------------------------------------------------------


def test_rolling_keeps_every_pixel_and_stays_within_its_reach():
    x, rng = picture(), stream(0)
    rolls = {(dy, dx): x.roll((dy, dx), (2, 3)) for dy in range(-2, 3) for dx in range(-2, 3)}
    drawn = set()
    for _ in range(200):
        made = Roll(2)(x, rng, 0)
        drawn |= {shift for shift, wanted in rolls.items() if torch.equal(made, wanted)}
    assert drawn == set(rolls)


def test_a_flip_mirrors_left_to_right_or_does_nothing():
    x, rng = picture(), stream(0)
    made = [Flip(0.5)(x, rng, 0) for _ in range(40)]
    mirrored = [torch.equal(each, x.flip(3)) for each in made]
    assert all(m or torch.equal(each, x) for m, each in zip(mirrored, made, strict=True))
    assert 5 < sum(mirrored) < 35


def test_the_coarse_stage_averages_and_ends():
    x = torch.tensor([[1.0, 3.0], [5.0, 7.0]]).view(1, 1, 2, 2)
    assert Coarse(3)(x, stream(0), 2).tolist() == [[[[4.0]]]]
    assert torch.equal(Coarse(3)(x, stream(0), 3), x)


def test_every_image_gets_a_crop_of_its_own_within_its_bounds():
    """On a ramp of coordinates, a crop shows which part of the image it covers."""
    side = 64
    ramp = torch.linspace(-1 + 1 / side, 1 - 1 / side, side)
    x = torch.stack(torch.meshgrid(ramp, ramp, indexing="ij")).expand(200, 2, side, side)
    made = LocalCrop(least=0.5, probability=1.0)(x, stream(0), 0)
    tall = (made[:, 0, -1, 0] - made[:, 0, 0, 0]) / 2 * side / (side - 1)
    wide = (made[:, 1, 0, -1] - made[:, 1, 0, 0]) / 2 * side / (side - 1)
    area = tall * wide.abs()
    assert (tall > 0).all()
    assert 60 < (wide < 0).sum() < 140  # mirrored half of the time
    assert 0.43 < area.min() < 0.6  # clipped where one side would leave the image
    assert area.max() <= 1.01
    ratio = wide.abs() / tall
    assert 0.73 < ratio.min() < 0.85
    assert 1.18 < ratio.max() < 1.36
    assert made.abs().max() <= 1


def test_without_its_probability_a_crop_leaves_the_batch_alone():
    x = picture()
    assert torch.equal(LocalCrop(probability=0.0)(x, stream(0), 0), x)


def test_gradients_pass_through_a_crop():
    x = picture().requires_grad_()
    LocalCrop(probability=1.0)(x, stream(0), 0).square().sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_low_pass_keeps_the_mean_and_takes_the_finest_stripes():
    x = picture()
    assert torch.allclose(low_pass(x, 4.0).mean((2, 3)), x.mean((2, 3)), atol=1e-5)
    stripes = torch.ones(1, 1, 16, 16)
    stripes[..., ::2] = -1  # 8 periods a side
    wanted = torch.exp(torch.tensor(-(8.0**2) / (2 * 4.0**2)))
    for given in (stripes, stripes.mT):
        assert torch.allclose(low_pass(given, 4.0), given * wanted, atol=1e-5)
    assert torch.allclose(low_pass(x, 1e4), x, atol=1e-4)


# --- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POLICIES)
def test_labels_are_classes(name):
    labels = POLICIES[name](50, 7, stream(1))
    assert (labels.shape, labels.dtype) == ((50,), torch.int64)
    assert 0 <= labels.min() <= labels.max() <= 6
    assert torch.equal(labels, POLICIES[name](50, 7, stream(1)))


def test_policies_are_what_they_are_called():
    counts = torch.bincount(balanced(23, 5, stream(0)), minlength=5)
    assert counts.max() - counts.min() == 1
    assert len(one_class(20, 10, stream(0)).unique()) == 1
    drawn, by_hand = stream(0), stream(0)
    balanced(23, 5, drawn)
    for _ in range(5):  # orders of 5 classes: the fewest for 23 images
        torch.randperm(5, generator=by_hand)
    assert torch.equal(drawn.get_state(), by_hand.get_state())
    assert len(uniform(200, 10, stream(0)).unique()) == 10


# --- schedules ----------------------------------------------------------------------------------


def rates(make, steps):
    """The rate with which each of the steps is taken."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, seen = make(optimizer), []
    for done in range(1, steps + 1):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.after_step(torch.zeros(()), done)
    return seen


def test_the_cosine_rises_and_falls_to_nothing():
    seen = rates(lambda o: cosine(o, total=14, warm_up=4), 14)
    assert seen[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert seen[4] == 1.0
    assert seen[9] == pytest.approx(0.5)
    assert all(b < a for a, b in pairwise(seen[4:]))
    assert 0 < seen[-1] < 0.03


def test_steps_of_a_tenth_and_exponential_decay():
    assert rates(lambda o: multistep(o, at=[2, 3]), 5) == pytest.approx([1, 1, 0.1, 0.01, 0.01])
    assert rates(lambda o: exponential(o, factor=0.5, every=2), 5) == [1, 1, 0.5, 0.5, 0.25]


def rated(rate, schedule, at=0, losses=None, state=None):
    """An optimiser with its schedule, begun or restored, and the rates of its steps from `at` to 8."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    optimiser, seen = Optimiser(optimizer, schedule(optimizer)), []
    if state is not None:
        optimiser.load_state_dict(state)
    for done in range(at + 1, 9):
        seen.append(optimizer.param_groups[0]["lr"])
        optimiser.step(torch.tensor(1.0 if losses is None else losses[done - 1]), done)
        if done == 4:
            kept = optimiser.state_dict()
            state = {"optimizer": kept["optimizer"], "initial": kept["initial"]}
            state |= {"schedule": dict(kept["schedule"])}
    return seen, state


PLANS = {
    "drops": lambda o: multistep(o, at=[2, 6]),
    "other drops": lambda o: multistep(o, at=[3, 5, 7]),
    "decay": lambda o: exponential(o, factor=0.9, every=3),
    "cosine": lambda o: cosine(o, total=8, warm_up=3),
    "steady": steady,
    "plateau": lambda o: Plateau(o, patience=1, least=1e-9),
}


@pytest.mark.parametrize(
    ("before", "after"),
    [*((name, name) for name in PLANS), ("drops", "other drops"), ("steady", "cosine")],
)
@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_a_fork_goes_on_at_the_rates_that_it_asks_for(before, after, rate):
    _, state = rated(0.3, PLANS[before])
    wanted, _ = rated(rate, PLANS[after])
    found, _ = rated(rate, PLANS[after], at=4, state=state)
    if (before, rate) == (after, 0.3):
        assert found == wanted[4:]  # what is only resumed: to the last bit
    assert found == pytest.approx(wanted[4:])


def test_an_optimiser_is_not_resumed_from_a_state_that_lacks_rates():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    optimiser = Optimiser(optimizer, steady(optimizer))
    state = optimiser.state_dict()
    optimiser.load_state_dict(state)
    with pytest.raises(ValueError, match="zip"):
        optimiser.load_state_dict(state | {"initial": []})


def test_what_is_another_sum_has_not_stopped_falling():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    optimiser = Optimiser(optimizer, Plateau(optimizer, patience=3))
    for done, loss in enumerate((1.0, 1.0, 1.0)):
        optimiser.step(torch.tensor(loss), done)
    optimiser.start_afresh()
    for done, loss in enumerate((10.0, 9.0, 8.0, 7.0, 6.0, 5.0)):
        optimiser.step(torch.tensor(loss), done)
    assert optimizer.param_groups[0]["lr"] == 1.0


# --- canvases -----------------------------------------------------------------------------------


def test_pixels_with_bounds_stay_in_the_range_of_real_pixels():
    asked = request(GenieSettings, mean=(0.2, 0.5, 0.9), std=(0.1, 0.5, 0.3))
    canvas = Pixels.gaussian(asked, bounded=True)
    low, high = torch.tensor([-2.0, -1.0, -3.0]), torch.tensor([8.0, 1.0, 1 / 3])
    with torch.no_grad():
        canvas.pixels.mul_(100)
    canvas.project()
    shown = canvas.render(None).detach()
    assert torch.allclose(shown.amin((0, 2, 3)), low)
    assert torch.allclose(shown.amax((0, 2, 3)), high)


def test_the_faint_start_is_an_almost_even_grey():
    start = Pixels.faint(request(GenieSettings)).render(None)
    assert start.abs().max() <= 127.5 / 5418.75
    assert len(start.unique()) > 100


def test_a_generator_alone_is_fed_with_new_noise_each_time():
    fresh = LatentImages(request(GenieSettings), fresh=True)
    own = LatentImages(request(GenieSettings))
    assert not torch.equal(fresh.render(None), fresh.render(None))
    assert torch.equal(own.render(None), own.render(None))
    assert not fresh.z.requires_grad


def test_the_stretch_begins_as_no_stretch():
    plain = LatentImages(request(GenieSettings)).render(None)
    stretched = LatentImages(request(GenieSettings), stretch=True)
    assert torch.equal(plain, stretched.render(None))
    assert {"scale", "offset"} <= {name for name, _ in stretched.named_parameters()}
    with torch.no_grad():
        stretched.scale.fill_(3.0)
        stretched.offset.fill_(0.5)
    assert torch.allclose(stretched.render(None), 3 * plain + 0.5)
