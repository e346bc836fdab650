"""Terms on classes, features and images, each by hand."""

import math

import pytest
import torch

from engine.synthesis.losses.classes import (
    CrossEntropy,
    Disagreement,
    LabelEntropy,
    LogitMagnitude,
    OwnLabel,
    SoftTarget,
    teacher_share,
)
from engine.synthesis.losses.features import ActivationNorm, MarginCosine, class_sums
from engine.synthesis.losses.images import (
    Correlation,
    InputStatistics,
    Magnitude,
    Spectrum,
    TotalVariation,
    image_prior,
)
from tests.synthesis.scenes import scene_with

# Probabilities 3/4, 1/4 and 1/2, 1/2.
LOGITS = torch.tensor([[math.log(3), 0.0], [1.0, 1.0]])
LABELS = torch.tensor([0, 1])

# --- classes ------------------------------------------------------------------------------------


def test_cross_entropy_by_hand_for_classes_and_for_probabilities():
    wanted = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert float(CrossEntropy()(scene_with(LOGITS, LABELS))) == pytest.approx(wanted)
    soft = torch.eye(2)[LABELS]
    assert float(CrossEntropy()(scene_with(LOGITS, soft))) == pytest.approx(wanted)
    even = torch.full((2, 2), 0.5)
    wanted = -(math.log(3 / 4) / 2 + math.log(1 / 4) / 2 + math.log(1 / 2)) / 2
    assert float(CrossEntropy()(scene_with(LOGITS, even))) == pytest.approx(wanted)


def test_a_network_s_own_label_is_its_greatest():
    loss = OwnLabel()(scene_with(torch.tensor([[0.0, math.log(3)]])))
    assert float(loss) == pytest.approx(-math.log(3 / 4))


def test_a_soft_target_touches_only_the_label_s_probability():
    logits = torch.tensor([[2.0, 1.0, -1.0]])
    loss = SoftTarget(torch.tensor([0.9]))
    share = float(logits.softmax(1)[0, 1])
    found = loss(scene_with(logits, torch.tensor([1])))
    assert float(found) == pytest.approx((share - 0.9) ** 2)
    # How the rest is shared between the other two does not matter.
    swapped = logits[:, [2, 1, 0]]
    assert float(loss(scene_with(swapped, torch.tensor([1])))) == pytest.approx(float(found))
    assert float(SoftTarget(torch.tensor([share]))(scene_with(logits, torch.tensor([1])))) < 1e-12


def test_the_logit_is_asked_for_as_it_is():
    logits = torch.tensor([[5.0, 1.0], [2.0, 3.0]])
    assert float(LogitMagnitude()(scene_with(logits, LABELS))) == -(5 + 3) / 2


def test_label_entropy_is_least_when_classes_are_even():
    even, one = torch.eye(2) * 50, torch.tensor([[50.0, 0.0], [50.0, 0.0]])
    assert float(LabelEntropy()(scene_with(even))) == pytest.approx(-math.log(2))
    assert float(LabelEntropy()(scene_with(one))) == pytest.approx(0, abs=1e-6)


def test_disagreement_is_1_where_teacher_and_student_agree():
    x = torch.zeros(1, 1, 1, 1)
    same = Disagreement(lambda shown: LOGITS)
    assert float(same(scene_with(LOGITS, images=x))) == pytest.approx(1, abs=1e-6)
    # Kept within 1/100 and 99/100: m is even, JS = log 2 + .99·log .99 + .01·log .01.
    sure = torch.tensor([[900.0, -900.0]])
    other = Disagreement(lambda shown: -sure)
    wanted = 1 - (math.log(2) + 0.99 * math.log(0.99) + 0.01 * math.log(0.01))
    assert float(other(scene_with(sure, images=x))) == pytest.approx(wanted, rel=1e-5)


def test_the_share_that_the_teacher_recognises():
    assert teacher_share(torch.eye(4), torch.tensor([0, 1, 0, 0])) == 0.5
    assert teacher_share(torch.eye(2), torch.tensor([[0.9, 0.1], [0.8, 0.2]])) == 0.5


# --- features -----------------------------------------------------------------------------------


def margin(distance_cosine, lower=0.1, upper=0.8, known=(True, True)):
    """A feature at this cosine from the centre of class 1, in a plane."""
    sine = math.sqrt(max(0.0, 1 - distance_cosine**2))
    features = torch.tensor([[distance_cosine, sine]], requires_grad=True)
    centres = torch.tensor([[0.0, 5.0], [3.0, 0.0]])
    loss = MarginCosine(centres, torch.tensor(known), lower, upper)
    found = loss(scene_with(None, torch.tensor([1]), features))
    found.backward()
    return float(found.detach()), features.grad


@pytest.mark.parametrize("cosine", [0.85, 0.5, 0.25])
def test_between_its_bounds_the_margin_costs_nothing_and_pulls_nowhere(cosine):
    loss, gradient = margin(cosine)
    assert loss == 0
    assert not gradient.any()


@pytest.mark.parametrize(("cosine", "wanted"), [(0.95, 0.05), (1.0, 0.1), (0.1, 0.1), (-0.5, 0.7)])
def test_beyond_its_bounds_the_margin_costs_what_is_beyond(cosine, wanted):
    loss, gradient = margin(cosine)
    assert loss == pytest.approx(wanted, abs=1e-6)
    assert gradient.any() or cosine == 1.0


def test_a_class_without_a_centre_has_no_margin():
    loss, gradient = margin(-0.5, known=(True, False))
    assert loss == 0
    assert not gradient.any()


def test_sums_of_features_by_class():
    features = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    sums, counts = class_sums(features, torch.tensor([2, 0, 2]), 3)
    assert sums.tolist() == [[0, 2], [0, 0], [4, 3]]
    assert counts.tolist() == [1, 0, 2]


def test_strong_features_are_rewarded():
    features = torch.tensor([[1.0, -3.0], [2.0, 2.0]])
    assert float(ActivationNorm()(scene_with(features=features))) == -2


# --- images -------------------------------------------------------------------------------------


def test_an_even_image_has_no_variation_and_no_gradient_of_it():
    x = torch.full((2, 3, 5, 5), 0.7, requires_grad=True)
    loss = TotalVariation()(scene_with(images=x))
    loss.backward()
    assert float(loss.detach()) == 0
    assert not x.grad.any()


def test_total_variation_by_hand():
    """Rows 0 0 and 3 0: to the right 0, 3; below 3, 0; below right 0; below left 3 - 0."""
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0]]).view(1, 1, 2, 2)
    assert float(TotalVariation()(scene_with(images=x))) == 3 + 3 + 0 + 3
    # Norms over the whole batch: two such images have the root of 2 times as much.
    twice = x.expand(2, 1, 2, 2)
    assert float(TotalVariation()(scene_with(images=twice))) == pytest.approx(9 * 2**0.5)


def test_total_variation_is_that_of_a_loop_over_neighbours():
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    squares = {(0, 1): 0.0, (1, 0): 0.0, (1, 1): 0.0, (1, -1): 0.0}
    for down, right in squares:
        for i in range(4 - down):
            for j in range(5):
                if 0 <= j + right < 5:
                    gap = x[..., i + down, j + right] - x[..., i, j]
                    squares[down, right] += float(gap.square().sum())
    wanted = sum(math.sqrt(total) for total in squares.values())
    assert float(TotalVariation()(scene_with(images=x))) == pytest.approx(wanted, rel=1e-5)


def test_the_magnitude_is_the_mean_of_norms():
    x = torch.stack([torch.full((1, 2, 2), 1.0), torch.full((1, 2, 2), 3.0)])
    assert float(Magnitude()(scene_with(images=x))) == (2 + 6) / 2


def test_the_input_term_is_the_image_prior():
    x = torch.randn(3, 2, 4, 4)
    assert InputStatistics()(scene_with(images=x)) == image_prior(x)


def test_correlation_by_hand():
    """Cosines of (1, 0), (1, 1), (0, 2): √½, √½ and 0; squared ½, ½, 0; both ways over 6 pairs."""
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]).view(3, 1, 1, 2)
    assert float(Correlation()(scene_with(images=x))) == pytest.approx(1 / 3)
    assert float(Correlation()(scene_with(images=x[:1]))) == 0  # one image has no other
    apart = torch.eye(4).view(4, 1, 2, 2)
    assert float(Correlation()(scene_with(images=apart))) == pytest.approx(0, abs=1e-7)


def test_the_spectrum_of_equal_images_is_one_number():
    """Equal images have the eigenvalues 0, 2; unlike ones 1, 1: a mean square of 1, of which 10⁻⁴."""
    unlike, alike = torch.eye(2).view(2, 1, 1, 2), torch.ones(2, 1, 1, 2)
    assert float(Spectrum(unlike)(scene_with(images=unlike))) == pytest.approx(0, abs=1e-6)
    assert float(Spectrum(unlike)(scene_with(images=alike))) == pytest.approx(1e-4)
