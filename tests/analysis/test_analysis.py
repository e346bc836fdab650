"""Every number against a value worked out by hand, or a second, naive computation."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.answers.accuracy import agreement, logit_kl, paired_drop, top1, wilson
from engine.analysis.costs.size import LayerBits, stored_bits, stored_bytes
from engine.analysis.images.confidence import class_spread, confidence
from engine.analysis.layers.errors import LIMIT_DB, cosine, distance, sqnr_db


class TestSqnr:
    def test_a_tenth_of_error_is_20_db(self):
        reference = torch.tensor([1.0, -2.0, 3.0])
        assert sqnr_db(reference, reference * 1.1) == pytest.approx(20, abs=1e-4)

    def test_equal_tensors_have_the_limit_and_not_infinity(self):
        assert sqnr_db(torch.ones(3), torch.ones(3)) == LIMIT_DB

    def test_a_zero_reference_has_no_signal(self):
        assert sqnr_db(torch.zeros(3), torch.ones(3)) == -LIMIT_DB
        assert sqnr_db(torch.zeros(3), torch.zeros(3)) == LIMIT_DB

    @pytest.mark.parametrize("broken", [math.nan, math.inf])
    def test_a_broken_tensor_is_all_noise_and_a_finite_number(self, broken):
        assert sqnr_db(torch.ones(2), torch.tensor([1.0, broken])) == -LIMIT_DB

    def test_a_difference_beyond_half_precision_is_still_a_number(self):
        reference = torch.tensor([60_000.0], dtype=torch.float16)
        assert sqnr_db(reference, -reference) == pytest.approx(-20 * math.log10(2))

    def test_small_values_of_many_do_not_vanish_in_the_sum(self):
        reference = torch.ones(1_000_000)
        other = reference + 1e-4
        assert sqnr_db(reference, other) == pytest.approx(80, abs=0.05)

    @given(st.floats(0.1, 10), st.integers(2, 50))
    def test_does_not_depend_on_the_scale(self, factor, n):
        reference = torch.linspace(-1, 1, n)
        other = reference + 0.01
        assert sqnr_db(reference * factor, other * factor) == pytest.approx(
            sqnr_db(reference, other), abs=1e-3
        )


class TestCosine:
    @pytest.mark.parametrize(
        ("b", "expected"), [([2.0, 0.0], 1), ([0.0, 5.0], 0), ([-1.0, 0.0], -1), ([1, 1], 0.5**0.5)]
    )
    def test_of_two_directions(self, b, expected):
        assert cosine(torch.tensor([1.0, 0.0]), torch.tensor(b)) == pytest.approx(expected)

    def test_of_zeros(self):
        assert cosine(torch.zeros(2), torch.zeros(2)) == 1
        assert cosine(torch.zeros(2), torch.ones(2)) == 0

    @pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
    def test_what_is_broken_has_no_direction(self, broken):
        assert cosine(torch.ones(2), torch.tensor([1.0, broken])) == 0


class TestDistance:
    def test_by_hand(self):
        found = distance(torch.tensor([[3.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
        # signal 9, noise 16 over two values; 9 / (3 * 5)
        assert found == pytest.approx((10 * math.log10(9 / 16), 8.0, 0.6))

    def test_is_each_number_alone_and_leaves_the_layout_in_memory_out(self):
        a = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
        b = (a + 0.3 * torch.randn_like(a)).to(memory_format=torch.channels_last)
        found = distance(a, b)
        assert (found.sqnr_db, found.cosine) == (sqnr_db(a, b), cosine(a, b))
        pairs = list(zip(a.flatten().tolist(), b.flatten().tolist(), strict=True))
        assert found.mse == pytest.approx(sum((p - q) ** 2 for p, q in pairs) / len(pairs))
        dot = sum(p * q for p, q in pairs)
        lengths = math.sqrt(sum(p * p for p, _ in pairs)) * math.sqrt(sum(q * q for _, q in pairs))
        assert found.cosine == pytest.approx(dot / lengths)

    def test_of_equal_and_of_broken_tensors(self):
        assert distance(torch.ones(3), torch.ones(3)) == (LIMIT_DB, 0, 1)
        broken = distance(torch.ones(2), torch.tensor([1.0, math.nan]))
        assert (broken.sqnr_db, broken.cosine) == (-LIMIT_DB, 0)
        assert math.isnan(broken.mse)


class TestWilson:
    # Expected: roots of (share - p)^2 = z^2 p (1 - p) / n, which is how Wilson defines the band.
    @pytest.mark.parametrize(("hits", "n"), [(0, 10), (5, 10), (10, 10), (9135, 10000), (1, 650)])
    def test_solves_its_equation(self, hits, n):
        share, square = hits / n, 1.959964**2
        for p in wilson(hits, n):
            assert (share - p) ** 2 == pytest.approx(square * p * (1 - p) / n, abs=1e-12)

    def test_against_a_published_value(self):
        # 81 of 263: 0.2553 to 0.3662 (Newcombe 1998, table I, method 3).
        assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)

    def test_nothing_judged_is_nothing_known(self):
        assert wilson(0, 0) == (0, 1)

    def test_ends_are_exact(self):
        assert wilson(0, 7).low == 0
        assert wilson(7, 7).high == 1

    def test_more_hits_than_images_is_refused(self):
        with pytest.raises(ValueError, match="8 hits in 7"):
            wilson(8, 7)

    @given(st.integers(0, 500), st.integers(1, 500))
    def test_holds_the_share(self, hits, n):
        hits = min(hits, n)
        low, high = wilson(hits, n)
        assert 0 <= low <= hits / n <= high <= 1


class TestLogits:
    logits = torch.tensor([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0], [1.0, 0.0]])

    def test_top1(self):
        assert top1(self.logits, torch.tensor([0, 1, 1, 1])) == 0.5

    def test_agreement(self):
        other = self.logits.clone()
        other[0] = torch.tensor([0.0, 9.0])
        assert agreement(self.logits, other) == 0.75

    def test_kl_against_a_loop(self):
        teacher, student = torch.randn(6, 5), torch.randn(6, 5)
        expected = 0.0
        for t, s in zip(teacher.softmax(1).tolist(), student.softmax(1).tolist(), strict=True):
            expected += sum(p * math.log(p / q) for p, q in zip(t, s, strict=True)) / 6
        assert logit_kl(teacher, student) == pytest.approx(expected, rel=1e-5)

    def test_kl_is_of_the_teacher_from_the_student_and_not_the_other_way(self):
        sure, unsure = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 0.0]])
        assert logit_kl(sure, unsure) == pytest.approx(math.log(2), abs=0.01)
        assert logit_kl(unsure, sure) > 3

    def test_kl_of_the_same_is_zero(self):
        assert logit_kl(self.logits, self.logits) == pytest.approx(0, abs=1e-12)
        assert logit_kl(self.logits, self.logits) >= 0

    def test_kl_of_huge_logits_is_finite(self):
        huge = torch.tensor([[1e4, 0.0]])
        assert math.isfinite(logit_kl(huge, -huge))


class TestImages:
    def test_confidence_of_two_images(self):
        logits = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
        assert confidence(logits) == pytest.approx(0.75)

    def test_spread_of_every_class_once_is_the_number_of_classes(self):
        assert class_spread(torch.eye(5) * 1000) == pytest.approx(5)

    def test_spread_of_one_class_is_one(self):
        assert class_spread(torch.tensor([[1000.0, 0, 0]] * 4)) == pytest.approx(1)

    def test_spread_counts_the_mean_and_not_each_image(self):
        # Unsure of two classes for every image, or sure of one for half: the same mean.
        unsure = class_spread(torch.tensor([[0.0, 0.0, -1000.0]] * 2))
        sure = class_spread(torch.tensor([[1000.0, 0, 0], [0, 1000.0, 0]]))
        assert unsure == pytest.approx(2)
        assert sure == pytest.approx(2)


class TestSize:
    def test_of_two_layers_by_hand(self):
        layers = [
            LayerBits(weights=27, channels=3, weight_bits=2, other_parameters=3),
            LayerBits(weights=10, channels=2, weight_bits=8),
        ]
        size = stored_bytes(layers)
        assert size.fp32 == (27 + 3 + 10) * 4
        # 54 bits are 7 bytes, 3 channels of 4 + 1; 80 bits are 10 bytes, 2 channels of 4 + 1
        assert size.quantized == (7 + 15 + 12) + (10 + 10)

    def test_bits_by_what_they_are_for(self):
        layers = [
            LayerBits(weights=27, channels=3, weight_bits=2, other_parameters=3),
            LayerBits(weights=10, channels=2, weight_bits=8, side_bits=33),
        ]
        assert stored_bits(layers) == (54 + 80, 3 * 40 + 33, 3 * 32)
        # padded to bytes: 2 bits behind the first codes, 7 behind the second grid
        assert 8 * stored_bytes(layers).quantized == sum(stored_bits(layers)) + 2 + 7

    def test_takes_any_iterable_once(self):
        layers = (LayerBits(weights=8, channels=1, weight_bits=4) for _ in range(2))
        assert stored_bytes(layers).fp32 == 64
        assert stored_bytes([]).quantized == 0

    @given(st.integers(2, 7), st.integers(1, 10_000))
    def test_more_bits_never_take_less(self, bits, weights):
        def quantized(b):
            return stored_bytes([LayerBits(weights=weights, channels=1, weight_bits=b)]).quantized

        assert quantized(bits) <= quantized(bits + 1)


class TestPairedDrop:
    def logits(self, *classes):
        return torch.nn.functional.one_hot(torch.tensor(classes), 3).float()

    def test_counts_the_answers_that_changed(self):
        labels = torch.tensor([0, 1, 2, 0])
        drop = paired_drop(self.logits(0, 1, 2, 1), self.logits(0, 0, 0, 0), labels)
        assert (drop.lost, drop.won, drop.share) == (2, 1, 0.25)

    def test_equal_networks_have_no_drop_but_no_certainty_either(self):
        answers = self.logits(*[0] * 50)
        drop = paired_drop(answers, answers, torch.zeros(50, dtype=torch.long))
        assert (drop.lost, drop.won, drop.share) == (0, 0, 0.0)
        assert drop.band.low < 0 < drop.band.high

    def test_the_band_by_hand(self):
        labels = torch.zeros(100, dtype=torch.long)
        first = self.logits(*[0] * 100)
        second = self.logits(*[1] * 10, *[0] * 90)
        drop = paired_drop(first, second, labels)
        # b = 10.5, c = 0.5, m = 102: centre 10 / 102, variance (11 - 100 / 102) / 102^2
        half = 1.959964 * (11 - 100 / 102) ** 0.5 / 102
        assert drop.band.low == pytest.approx(10 / 102 - half)
        assert drop.band.high == pytest.approx(10 / 102 + half)

    def test_it_tells_apart_what_overlapping_bands_do_not(self):
        labels = torch.zeros(10_000, dtype=torch.long)
        first, second = self.logits(*[0] * 9400, *[1] * 600), self.logits(*[0] * 9340, *[1] * 660)
        drop = paired_drop(first, second, labels)
        assert wilson(9340, 10_000).high > wilson(9400, 10_000).low
        assert drop.band.low > 0
