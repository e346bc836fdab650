"""The shape that a user gives of a network's images: read as it stands, or refused in a line."""

import pytest

from engine.core.errors import UserError
from engine.models.card_settings import own_knobs
from engine.models.cards.from_python_file import own_card
from engine.run.recipes.settings import resolve

WRONG = [
    ("3,1e9,1e9", "sides of at most 16384 pixels"),
    ("3,100000,100000", "sides of at most 16384 pixels"),
    ("9999,32,32", "at most 4096 channels"),
    ("3,16384,16384", "805,306,368 values an image, and the most is 50,331,648"),
    ("3,32.5,32", "32.5 is no whole number"),
    ("3x32x32", "3x32x32 is no whole number"),
    ("3,32,", "nothing is no whole number"),
    ("3,inf,32", "inf is no whole number"),
    ("3,nan,32", "nan is no whole number"),
    ("", "is empty"),
    ("3,0,32", "0 is below 1"),
    ("3,-32,32", "-32 is below 1"),
    ("3,32", "not three numbers"),
    ("1,3,32,32", "not three numbers"),
    ([3, 32.5, 32], "32.5 is no whole number"),
    ([3, 10**5000, 32], "a very large number is no whole number"),
    (32, "not three numbers"),
    (None, "None is no whole number"),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_a_shape_that_is_none_is_refused_with_an_example(given, words):
    with pytest.raises(UserError) as said:
        resolve(own_knobs(), "quick", {"image_shape": given}, "model")
    text = str(said.value)
    assert text.startswith("model.image_shape is ")
    assert words in text
    assert "3,32,32" in text or "3,224,224" in text
    assert ".5,.5" not in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "given", ["3,32,32", "3, 32.0, 32", "3,3.2e1,32", [3, 32, 32.0], (3, 32, 32)]
)
def test_what_is_a_shape_is_held_as_recipes_always_held_it(given):
    found = resolve(own_knobs(), "quick", {"image_shape": given}, "model")
    assert repr(found["image_shape"]) == "[3.0, 32.0, 32.0]"


@pytest.mark.parametrize("given", [[], ()])
def test_no_shape_is_left_to_the_card(given):
    assert resolve(own_knobs(), "quick", {"image_shape": given}, "model")["image_shape"] == []


def test_the_card_itself_takes_no_half_pixel(tmp_path):
    (tmp_path / "net.py").write_text("def make():\n    return None\n")
    with pytest.raises(UserError, match=r"32\.5 is no whole number"):
        own_card(f"{tmp_path / 'net.py'}:make", {"image_shape": [3, 32.5, 32]})
