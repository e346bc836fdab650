"""Image statistics of sets: every number against a hand-computed value or a naive loop."""

import math

import numpy as np
import pytest
import torch

from engine.analysis.images.image_statistics import (
    image_statistics,
    pair_cosines,
    power_spectrum,
    spread_and_distance,
    total_variation,
)
from engine.analysis.images.likeness import (
    MEASURES,
    joint_map,
    measures_of,
    separation,
    within_class_distance,
)


def taken(seed: int = 0, n: int = 6):
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 2, 8, 8, generator=rng)
    logits, features = torch.randn(n, 3, generator=rng), torch.randn(n, 4, generator=rng)
    moments = [(images.mean((2, 3)), images.std((2, 3), correction=0))]
    return image_statistics(images, logits, features, moments, [(torch.zeros(2), torch.ones(2))])


class TestCosines:
    def test_every_pair_once(self):
        rows = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
        expected = [0.0, math.sqrt(0.5), math.sqrt(0.5)]
        assert pair_cosines(rows).tolist() == pytest.approx(expected)

    def test_rounding_takes_no_cosine_beyond_one(self):
        rows = torch.randn(60, 37, generator=torch.Generator().manual_seed(0))
        unit = torch.nn.functional.normalize(rows, dim=1)
        assert float((unit @ unit.T).max()) > 1
        found = pair_cosines(torch.cat([rows, rows, -rows]))
        assert (float(found.max()), float(found.min())) == (1, -1)

    def test_a_black_image_has_no_direction(self):
        assert pair_cosines(torch.tensor([[0.0, 0.0], [1.0, 0.0]])).tolist() == [0.0]


class TestSpreadAndDistance:
    def test_by_hand(self):
        # channel 0: means 0 and 2 about a stored 1, unit 2; channel 1: twice 3 about a stored 0, unit 1
        means = torch.tensor([[0.0, 3.0], [2.0, 3.0]])
        spread, distance = spread_and_distance(
            means, torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0])
        )
        assert spread == pytest.approx((1 / 2 + 0) / 2)
        assert distance == pytest.approx((0 + 3) / 2)

    def test_means_and_deviations_are_told_apart_layer_by_layer(self):
        # layer 1: means 0 and 2 of one channel, deviations alike; layer 2: the other way round
        apart, alike = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [3.0]])
        stored = (torch.tensor([1.0]), torch.tensor([4.0]))
        two = torch.eye(2)
        made = image_statistics(
            torch.rand(2, 1, 4, 4), two, two, [(apart, alike), (alike, apart)], [stored, stored]
        )
        assert made["spread"].tolist() == [0.25, 0]
        assert made["deviation_spread"].tolist() == [0, 0.25]
        assert made["bn_distance"].tolist() == [0, 0.5]

    def test_equal_images_have_no_spread(self):
        spread, _ = spread_and_distance(torch.ones(5, 3), torch.zeros(3), torch.ones(3))
        assert spread == 0


def test_the_margin_is_what_the_likeliest_class_is_ahead_of_the_next():
    x, features = torch.randn(2, 1, 4, 4), torch.randn(2, 3)
    chances = torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    made = image_statistics(x, chances.log(), features, [], [])
    assert made["margin"].tolist() == pytest.approx([0.5, 0.3])
    assert image_statistics(x, chances[:, :1], features, [], [])["margin"].tolist() == [0, 0]


class TestSpectrum:
    def test_a_wave_stands_in_its_ring(self):
        across = torch.arange(16)
        for cycles in (2, 4, 8):  # in 16 pixels
            wave = torch.cos(2 * math.pi * cycles * across / 16).expand(1, 1, 16, 16)
            frequencies, power = power_spectrum(wave)
            assert float(frequencies[power.argmax()]) == pytest.approx(cycles / 16)
            assert float(power.max()) == pytest.approx(1, abs=1e-4)

    def test_shares_sum_to_one_and_an_even_image_has_none(self):
        _, power = power_spectrum(torch.randn(2, 3, 9, 12))
        assert float(power.sum()) == pytest.approx(1)
        _, nothing = power_spectrum(torch.full((1, 1, 8, 8), 0.5))
        assert float(nothing.sum()) == pytest.approx(0, abs=1e-6)


def test_total_variation_of_an_even_image_is_zero_and_of_stripes_half_their_step():
    assert total_variation(torch.full((2, 1, 4, 4), 3.0)) == 0
    stripes = torch.tensor([0.0, 1.0]).repeat(2).expand(1, 1, 4, 4)
    assert total_variation(stripes) == pytest.approx(0.5)  # 1 across, 0 down


class TestMap:
    def test_keeps_distances_of_points_that_lie_on_a_plane(self):
        rng = np.random.default_rng(0)
        plane = np.linalg.qr(rng.normal(size=(5, 2)))[0]
        flat = [rng.normal(size=(4, 2)), rng.normal(size=(3, 2))]
        shown = joint_map([{"features": points @ plane.T} for points in flat])
        before, after = np.concatenate(flat), np.concatenate(shown)
        for i in range(7):
            for j in range(7):
                assert np.linalg.norm(after[i] - after[j]) == pytest.approx(
                    np.linalg.norm(before[i] - before[j]), abs=1e-9
                )

    def test_does_not_flip_with_the_order_of_images(self):
        features = np.random.default_rng(1).normal(size=(9, 4))
        (one,) = joint_map([{"features": features}])
        (other,) = joint_map([{"features": features[::-1]}])
        np.testing.assert_allclose(one, other[::-1], atol=1e-9)

    def test_a_single_feature_still_has_a_plane(self):
        (shown,) = joint_map([{"features": np.array([[1.0], [3.0]])}])
        assert shown.shape == (2, 2)


class TestMeasures:
    def test_every_measure_of_image_statistics_is_a_number(self):
        values = measures_of(taken())
        assert set(values) == {measure.name for measure in MEASURES}
        assert all(math.isfinite(v) for v in values.values() if v is not None)

    def test_without_batchnorm_what_needs_it_is_not_told(self):
        images = torch.randn(3, 1, 8, 8)
        values = measures_of(image_statistics(images, torch.randn(3, 2), torch.randn(3, 2), [], []))
        assert values["spread"] is None
        assert values["bn_distance"] is None
        assert values["pixel_correlation"] is not None

    def test_within_class_distance_equals_a_naive_loop(self):
        made = taken(seed=3, n=9)
        features, classes = made["features"].astype(np.float64), made["classes"]
        means = []
        for label in sorted(set(classes.tolist())):
            rows = [
                f / np.linalg.norm(f) for f, c in zip(features, classes, strict=True) if c == label
            ]
            pairs = [1 - a @ b for i, a in enumerate(rows) for b in rows[i + 1 :]]
            if pairs:
                means.append(sum(pairs) / len(pairs))
        assert within_class_distance(made) == pytest.approx(sum(means) / len(means))

    def test_separation_by_hand(self):
        # centres at -2 and 2, each class spread by ±1: 4 · 4 between, 4 · 1 within
        features = np.array([[-3.0], [-1.0], [1.0], [3.0]])
        assert separation({"features": features, "classes": np.array([0, 0, 1, 1])}) == 4
        assert separation({"features": features[:2], "classes": np.array([0, 1])}) is None
