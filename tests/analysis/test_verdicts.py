"""Outputs compared by what they are, beside values worked out by hand."""

import math

import pytest
import torch

from engine.analysis.answers.accuracy import agreement, logit_kl, top1
from engine.analysis.answers.verdicts import KINDS, one_answer
from engine.analysis.layers.errors import image_psnrs
from engine.core.errors import UserError
from engine.core.paired import mean_band


def judged(kind, teacher, student, labels=None, parts=2):
    found = KINDS[kind]()
    for a, b in zip(teacher.chunk(parts), student.chunk(parts), strict=True):
        found.add(a, b)
    return found.values(labels)


def test_images_are_judged_by_their_noise_and_never_by_classes():
    teacher = torch.tensor([0.0, 2.0, 4.0, 2.0]).view(2, 1, 1, 2)
    student = teacher + torch.tensor([0.0, 0.2, 0.0, 0.0]).view(2, 1, 1, 2)
    values = judged("image", teacher, student)
    assert values["output_sqnr_db"] == pytest.approx(10 * math.log10(24 / 0.04), abs=1e-3)
    assert values["psnr_db"] == pytest.approx(10 * math.log10(4**2 / 0.01), abs=1e-3)
    assert values["output_sqnr_least_db"] == pytest.approx(10 * math.log10(4 / 0.04), abs=1e-3)
    assert values["agreement"] is values["logit_kl"] is values["fp32_top1"] is None


def test_images_are_judged_beside_the_truth_image_by_image():
    truth = torch.full((2, 1, 2, 2), 0.5)
    near = truth + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)  # 20 dB and 40 dB
    found = KINDS["image"]()
    found.add(truth, near)
    assert found.values(None)["truth_psnr_db"] is None
    for part in range(2):
        found.add_truth(truth[part : part + 1], quantized=near[part : part + 1],
                        bicubic=truth[part : part + 1] + 0.1)  # fmt: skip
    assert found.values(None)["truth_psnr_db"] == {"quantized": 30.0, "bicubic": 20.0}
    assert image_psnrs(torch.tensor([[7.0]]), torch.tensor([[1.0]])).tolist() == [100.0], "clipped"


@pytest.mark.parametrize(("kind", "shape"), [("logits", (6, 10)), ("segmentation", (6, 5, 3, 3))])
def test_a_softmax_behind_the_scores_changes_no_figure(kind, shape):
    rng = torch.Generator().manual_seed(0)
    teacher = torch.randn(shape, generator=rng)
    student = teacher + 0.2 * torch.randn(shape, generator=rng) + 1.0
    plain = judged(kind, teacher, student)
    behind = judged(kind, teacher.log_softmax(1), student.log_softmax(1))
    for name in ("output_sqnr_db", "agreement", "logit_kl"):
        assert behind[name] == pytest.approx(plain[name], abs=2e-3)
    assert 10 < plain["output_sqnr_db"] < 18  # 0.2 of 1 is 14 dB, and the shift by 1 is no error


def test_one_score_and_scores_for_themselves_are_compared_as_they_are():
    pair = torch.tensor([[0.0, 3.0], [0.0, -1.0]]), torch.tensor([[0.0, 3.1], [0.0, -1.2]])
    wanted = 10 * math.log10(10 / 0.05)
    assert judged("one-logit", *pair)["output_sqnr_db"] == pytest.approx(wanted, abs=2e-3)
    alone = KINDS["logits"]()
    alone.up_to_a_constant = False
    alone.add(torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 1.0]]))
    assert alone.values(None)["output_sqnr_db"] == pytest.approx(10 * math.log10(4), abs=1e-3)


def test_maps_are_judged_pixel_by_pixel():
    rng = torch.Generator().manual_seed(0)
    teacher, student = (torch.randn(4, 3, 2, 2, generator=rng) for _ in range(2))
    values = judged("segmentation", teacher, student)
    same, divergence = 0, 0.0
    for image in range(4):
        for y in range(2):
            for x in range(2):
                p, q = (t[image, :, y, x].double().softmax(0) for t in (teacher, student))
                same += int(p.argmax() == q.argmax())
                divergence += float((p * (p / q).log()).sum())
    assert values["agreement"] == same / 16
    assert values["logit_kl"] == pytest.approx(divergence / 16)
    assert values["fp32_top1"] is None


def test_one_score_is_judged_by_its_sign():
    z, other = torch.tensor([1.0, -2.0, 0.5, -0.1]), torch.tensor([2.0, -1.0, -0.5, -0.2])
    pair = [torch.stack([torch.zeros(4), each], 1) for each in (z, other)]
    values = judged("one-logit", *pair, torch.tensor([1, 0, 0, 1]))
    assert values["agreement"] == 0.75
    assert (values["fp32_top1"], values["quantized_top1"]) == (0.5, 0.75)
    p, q = z.double().sigmoid(), other.double().sigmoid()
    binary = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    assert values["logit_kl"] == pytest.approx(float(binary.mean()))


def test_an_agreement_on_one_class_alone_is_said_to_say_little():
    logits = torch.tensor([[2.0, 1.0], [3.0, 0.0]])
    values = judged("logits", logits, logits)
    assert (values["agreement"], values["answers"]) == (1.0, 1)
    assert values["agreement_band"][0] < 0.5, "two images are no proof"
    assert "says little" in one_answer("logits", values)
    assert one_answer("logits", {"answers": 2}) == one_answer("image", {}) == ""


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("judge", [logit_kl, agreement, lambda a, b: top1(b, torch.tensor([0, 1]))])
def test_what_is_not_finite_is_not_judged(judge, broken):
    fine = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    spoilt = fine.clone()
    spoilt[1, 0] = broken
    with pytest.raises(UserError, match="1 of 2 images are not finite"):
        judge(fine, spoilt)


def test_the_band_of_a_mean_is_student_s():
    low, high = mean_band([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    half = 2.5706 * math.sqrt(3.5 / 6)  # t of 5 degrees of freedom
    assert (low, high) == pytest.approx((3.5 - half, 3.5 + half), rel=5e-3)
    assert mean_band([1.0]) is None
