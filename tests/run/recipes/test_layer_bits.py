"""Bits layer by layer in a recipe: read, checked, hashed by content, and used by the run."""

import json
from dataclasses import replace

import pytest

from engine.core.errors import UserError
from engine.quantization.plan import LayerBits
from engine.run.recipes.layer_bits import bits_wanted, with_bits
from engine.run.recipes.recipe import make_recipe
from tests.run.toy_runs import RECIPE, begun, work
from tests.toys import catalog

BITS = {"weight_bits": {"b": 8, "a": 3}, "activation_bits": {"b": 5}}


def recipe_with(value, **more):
    named = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}
    return make_recipe(catalog(), **named, quantization_settings={"bits": value}, **more)


def test_a_file_a_mapping_and_text_are_one_recipe_and_other_bits_another(tmp_path):
    here, there = tmp_path / "one.json", tmp_path / "two.json"
    here.write_text(json.dumps(BITS))
    there.write_text(json.dumps({**BITS, "weight_bits": {"a": 3.0, "b": 8}}, indent=2))
    one = recipe_with(str(here))
    assert one.quantization_settings["bits"] == {
        "weight_bits": {"a": 3, "b": 8}, "activation_bits": {"b": 5},
    }  # fmt: skip
    same = [recipe_with(value) for value in (str(there), BITS, json.dumps(BITS))]
    assert {recipe.run_id for recipe in same} == {one.run_id}
    other = recipe_with({**BITS, "weight_bits": {"a": 4, "b": 8}})
    assert other.run_id != one.run_id
    assert recipe_with({}).run_id == recipe_with("").run_id != one.run_id
    assert "bits" not in recipe_with({}).quantization_settings  # as older recipes are


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nowhere.json", "nowhere.json cannot be read"),
        ("{torn", "holds no JSON"),
        ({"layer": 4}, "names no weight_bits"),
        ({"weight_bits": 4}, "weight_bits is 4"),
        ({"weight_bits": {"a": 9}}, "of 'a' is 9; choose 2 to 8"),
        ({"activation_bits": {"a": "x"}}, "of 'a' is 'x'; choose 2 to 8, or 32 to leave it float"),
        ({"weight_bits": {"a": 32}}, "of 'a' is 32; choose 2 to 8$"),
        (7, "is 7; give a JSON file"),
    ],
)
def test_what_is_no_bits_is_refused_in_a_line(value, said):
    with pytest.raises(UserError, match=said) as refused:
        bits_wanted(value, {"name": "nearest"})
    assert "\n" not in str(refused.value)


def test_a_layer_or_an_input_has_1_bit_where_the_quantizer_has_levels_for_it():
    binary = {"name": "binary", "fewest_weight_bits": 1}
    one = {"weight_bits": {"a": 1}}
    assert bits_wanted(one, binary)["weight_bits"] == {"a": 1}
    with pytest.raises(UserError, match="of 'a' is 1; choose 2 to 8"):
        bits_wanted(one, {"name": "nearest"})
    with pytest.raises(UserError, match="of 'a' is 1; choose 2 to 8"):
        bits_wanted({"activation_bits": {"a": 1}}, binary)
    signs = binary | {"fewest_activation_bits": 1}
    assert bits_wanted({"activation_bits": {"a": 1}}, signs)["activation_bits"] == {"a": 1}


def test_a_quantizer_that_chooses_bits_itself_takes_none():
    with pytest.raises(UserError, match="'mixed' chooses each layer's bits itself"):
        bits_wanted(BITS, {"name": "mixed"})


def layer(path, *, by_block=False, activation_bits=4):
    return LayerBits(
        path=path, block="block", weight_bits=4, activation_bits=activation_bits, by_block=by_block
    )


PLAN = {
    one.path: one
    for one in (
        layer("image", activation_bits=None), layer("left", by_block=True), layer("right", by_block=True),
        layer("own"),
    )
}  # fmt: skip


def test_layers_get_their_bits_and_readers_of_one_input_share_them():
    asked = {"weight_bits": {"left": 2, "image": 5}, "activation_bits": {"right": 6, "own": 3}}
    plan = with_bits(PLAN, {"bits": asked})
    assert {path: bits.weight_bits for path, bits in plan.items()} == {
        "image": 5, "left": 2, "right": 4, "own": 4,
    }  # fmt: skip
    assert {path: bits.activation_bits for path, bits in plan.items()} == {
        "image": None, "left": 6, "right": 6, "own": 3,
    }  # fmt: skip
    assert with_bits(PLAN, {}) == PLAN


def test_an_input_of_32_bits_stays_float_and_so_does_what_reads_it_too():
    asked = {"activation_bits": {"right": 32, "image": 32}}
    plan = with_bits(PLAN, {"bits": bits_wanted(asked, {"name": "nearest"})})
    assert {path: bits.activation_bits for path, bits in plan.items()} == {
        "image": None, "left": None, "right": None, "own": 4,
    }  # fmt: skip
    assert plan["left"].by_block


def test_null_as_a_run_writes_it_leaves_an_input_float_too():
    """In its bits.json, after a budget of milliseconds for instance; weights are never float."""
    asked = json.dumps({"weight_bits": {"own": 2}, "activation_bits": {"own": None, "image": None}})
    wanted = bits_wanted(asked, {"name": "nearest"})
    assert wanted["activation_bits"] == {"own": 32, "image": 32}
    plan = with_bits(PLAN, {"bits": wanted})
    assert plan["own"].activation_bits is plan["image"].activation_bits is None
    assert plan["left"].activation_bits == 4
    with pytest.raises(UserError, match=r"weight_bits of 'own' is None; choose 2 to 8"):
        bits_wanted({"weight_bits": {"own": None}}, {"name": "nearest"})


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"weight_bits": {"conv9": 4}}, "no layer 'conv9'; there are: 'image, left"),
        ({"activation_bits": {"image": 4}}, "'image' reads the image"),
        ({"activation_bits": {"left": 4, "right": 5}}, "'left' and 'right' read one input"),
    ],
)
def test_bits_that_the_network_cannot_have_are_refused_in_a_line(asked, said):
    with pytest.raises(UserError, match=said):
        with_bits(PLAN, {"bits": asked})


def test_a_run_has_exactly_these_bits(toy, tmp_path):
    asked = {
        "weight_bits": {"down.conv2": 6, "head.2": 5},
        "activation_bits": {"same.conv2": 7},
    }
    settings = RECIPE.quantization_settings | {"bits": asked}
    folder = begun(tmp_path / "runs", replace(RECIPE, quantization_settings=settings))
    found = {row["path"]: row for row in work(folder)["layers"]}
    assert {path: row["weight_bits"] for path, row in found.items()} == {
        "stem.0": 8, "down.conv1": 3, "down.conv2": 6, "down.shortcut.0": 3, "same.conv1": 3,
        "same.conv2": 3, "head.2": 5,
    }  # fmt: skip
    assert found["same.conv2"]["activation_bits"] == 7


@pytest.mark.parametrize("quantization", ["nearest", "dir-net"])
def test_a_run_whose_inputs_all_stay_float_quantizes_weights_alone(toy, tmp_path, quantization):
    plan = ("down.conv1", "down.conv2", "down.shortcut.0", "same.conv1", "same.conv2", "head.2")
    settings = {"bits": {"activation_bits": dict.fromkeys(plan, 32)}, "steps": 2}
    own = settings if quantization == "dir-net" else {"bits": settings["bits"]}
    recipe = replace(RECIPE, quantization=quantization, quantization_settings=own)
    result = work(begun(tmp_path / "runs", recipe))
    assert {row["activation_bits"] for row in result["layers"]} == {None}
    assert result["output_sqnr_db"] > 0
