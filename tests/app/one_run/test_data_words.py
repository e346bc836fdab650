"""No run is said to have needed no data that read some."""

import pytest

from app.wording.data_words import data_words
from engine.run.recipes.recipe import Recipe
from engine.synthesis import discover_methods

REAL = {"real-images", "labelled-images"}
READS = {"external": "own", "real": "real data"}


@pytest.mark.parametrize("name", discover_methods())
def test_only_methods_that_read_no_images_need_no_data(name: str) -> None:
    words = data_words(Recipe(model="m", synthesis=name, quantization="nearest", images=32))
    reads = bool(REAL & set(discover_methods()[name].card.needs)) or name in READS
    assert words.startswith("No data was needed") is not reads
    assert "32 images" in words
    assert READS.get(name, "") in words
