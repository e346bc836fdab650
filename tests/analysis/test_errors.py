"""How far tensors are from each other: against numpy, and where nothing can be divided."""

import math

import numpy as np
import pytest
import torch

from engine.analysis.layers.errors import cosine, decibels, distance, image_psnrs, sqnr_db

NAN, INF = float("nan"), float("inf")


def test_all_three_distances_are_numpy_s():
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3, 4, 5, generator=rng)
    found, x, y = distance(a, b), a.numpy().astype(float).ravel(), b.numpy().astype(float).ravel()
    assert found.mse == pytest.approx(((x - y) ** 2).mean())
    assert found.cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert found.sqnr_db == pytest.approx(10 * np.log10((x**2).sum() / ((x - y) ** 2).sum()))
    assert (sqnr_db(a, b), cosine(a, b)) == pytest.approx((found.sqnr_db, found.cosine))
    assert distance(torch.zeros(0), torch.zeros(0)) == (100, 0, 1)
    one = distance(torch.ones(1), torch.zeros(1))
    assert (one.sqnr_db, one.mse, one.cosine) == (0, 1, 0)


@pytest.mark.parametrize(
    ("signal", "noise", "db"),
    [(1, 0.01, 20), (0.01, 1, -20), (1, 1, 0), (5, 0, 100), (0, 0, 100), (0, 1, -100), (1, INF, -100),
     (1, NAN, -100), (1e30, 1e-30, 100), (1e-30, 1e30, -100), (1e9, 1, 90), (1, 1e9, -90)],
)  # fmt: skip
def test_decibels_are_within_a_hundred(signal, noise, db):
    assert decibels(signal, noise) == pytest.approx(db)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [((1, 0), (0, 2), 0), ((1, 1), (3, 3), 1), ((1, 1), (-2, -2), -1), ((0, 0), (0, 0), 1),
     ((0, 0), (1, 0), 0), ((1, 0), (0, 0), 0), ((NAN, 1), (1, 1), 0), ((INF, 1), (1, 1), 0),
     ((3, 4), (4, 3), 24 / 25)],
)  # fmt: skip
def test_what_is_broken_or_nothing_has_no_direction(a, b, wanted):
    assert cosine(torch.tensor(a).float(), torch.tensor(b).float()) == pytest.approx(wanted)


def test_an_image_s_psnr_is_of_its_own_clipped_pixels_and_at_most_a_hundred():
    truth = torch.tensor([[0.2, 0.4], [0.0, 1.0], [0.5, 0.5]])
    images = torch.tensor([[0.3, 0.4], [-5.0, 9.0], [0.5, 0.6]])
    found = image_psnrs(images, truth).tolist()
    assert found == pytest.approx(
        [10 * math.log10(2 / 0.01), 100, 10 * math.log10(2 / 0.01)], rel=1e-5
    )
