"""Numbers in words."""

import pytest

from app.wording.words import count_words, size_words


@pytest.mark.parametrize(
    ("number", "size", "count"),
    [
        (999, "999 B", "999"),
        (999.7, "1 kB", "1 thousand"),
        (84_870, "84.9 kB", "84.9 thousand"),
        (999_600, "1 MB", "1 million"),
        (31.8e9, "31.8 GB", "31.8 billion"),
    ],
)
def test_one_to_three_digits_stand_before_the_point(number: float, size: str, count: str) -> None:
    assert (size_words(number), count_words(number)) == (size, count)
