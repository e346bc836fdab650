"""Divergences by hand, and the conversion between the families of distillation losses."""

import math

import pytest
import torch
from torch.nn import functional as F

from engine.core.activation_peaks import peak
from engine.core.divergence import distillation_weight, jensen_shannon, kl

P = torch.tensor([[math.log(3), 0.0]])  # 3/4, 1/4
Q = torch.tensor([[0.0, 0.0]])  # 1/2, 1/2


def test_the_kullback_leibler_divergence_by_hand():
    wanted = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(kl(P, Q)) == pytest.approx(wanted)
    assert float(kl(P.expand(5, 2), Q.expand(5, 2))) == pytest.approx(wanted), "mean over images"
    assert float(kl(P, P)) == pytest.approx(0, abs=1e-7)
    assert float(kl(20 * P, Q, temperature=20)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("averaged", "reduction"), [("elements", "mean"), ("images", "batchmean")])
@pytest.mark.filterwarnings("ignore:reduction")
def test_a_paper_s_weight_gives_what_its_code_computes(averaged, reduction):
    teacher, student = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
    weight, temperature = 1.7, 4.0
    released = F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.softmax(teacher / temperature, 1),
        reduction=reduction,
    )
    factor = distillation_weight(
        weight, averaged_over=averaged, classes=10, temperature=temperature
    )
    ours = factor * kl(teacher, student, temperature)
    assert float(ours) == pytest.approx(weight * temperature**2 * float(released), rel=1e-4)


def test_the_jensen_shannon_divergence_by_hand_and_its_bound():
    p, q = torch.tensor([[0.75, 0.25]]), torch.tensor([[0.25, 0.75]])
    wanted = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(jensen_shannon(p, q)) == pytest.approx(wanted)
    assert float(jensen_shannon(p, p)) == 0
    sure = torch.tensor([[1 - 1e-7, 1e-7]])
    assert float(jensen_shannon(sure, sure.flip(1))) == pytest.approx(math.log(2), rel=1e-4)


def test_peaks_by_hand():
    x = torch.tensor([[1.0, -8.0, 2.0, 3.0], [4.0, 0.0, 1.0, 2.0]]).view(2, 1, 2, 2)
    assert float(peak(x, "max")) == 8
    assert float(peak(x, "mean-of-max")) == 6
    assert float(peak(x, "percentile", 0.75)) == (3 + 2) / 2
    assert float(peak(x.repeat(10, 1, 1, 1), "mean-of-max")) == 6, "no matter how many images"
