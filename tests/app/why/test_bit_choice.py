"""Bits from the address, and the recipe with exactly those."""

import random
from pathlib import Path
from typing import Any

import pytest

from app.engine_calls.recipes import recipe_of
from app.panels.layers.fewer_bits.bit_choice import (
    BitChoice,
    chosen_bits,
    read_choice,
    recipe_at,
    usual_bits,
)
from engine.quantization.plan import plan_bits
from engine.run.folders.folder import RunFolder
from engine.run.recipes.layer_bits import with_bits
from tests.app.conftest import CATALOG
from tests.app.fabricate import Fabricated, fabricate
from tests.app.why.bits_found import FOUND, PATHS, PLANNED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3.5",
        "front.2",
        "front.2.5",
        "front.1.6,fc:2.2",
        "4.4,layer1.0.conv1:6.3",
        "front.0,conv1:5.,fc:2.2",
        "layer1.0.conv2:8.8",
    ],
)
def test_a_choice_is_read_as_it_was_written(text: str) -> None:
    assert read_choice(text, FOUND).text() == text


@pytest.mark.parametrize(
    "text",
    [
        "9.4",
        "4",
        "front.9",
        "front.x",
        "front..5",
        "nobody:4.4",
        "conv1:1.4",
        ":",
        ",,",
        "-4.4",
        "4.4.4",
        "a.b,c:d",
    ],
)
def test_an_address_that_makes_no_sense_is_the_runs_own_bits(text: str) -> None:
    assert read_choice(text, FOUND) == BitChoice()


def test_the_network_moves_but_for_its_edges_and_the_image() -> None:
    bits = chosen_bits(BitChoice(network=(3, 5)), FOUND)
    assert bits == {
        "conv1": (8, None), "layer1.0.conv1": (3, 5), "layer1.0.conv2": (3, 5), "layer1.0.shortcut": (3, 5),
        "fc": (8, 8),
    }  # fmt: skip
    assert usual_bits(bits, FOUND) == (3, 5)
    own = chosen_bits(BitChoice(), FOUND)
    assert [w for w, _ in own.values()] == list(PLANNED["weight_bits"].values())
    assert chosen_bits(BitChoice(point=0), FOUND)["layer1.0.conv1"] == (2, 4)


def test_a_point_of_the_front_leaves_the_inputs_to_whoever_chose_them() -> None:
    bits = chosen_bits(BitChoice(point=0, inputs=6), FOUND)
    assert bits == {
        "conv1": (8, None), "layer1.0.conv1": (2, 6), "layer1.0.conv2": (4, 6), "layer1.0.shortcut": (4, 6),
        "fc": (8, 8),
    }  # fmt: skip
    assert read_choice("front.0.9", FOUND) == BitChoice(point=0)


def test_layers_that_read_one_input_have_the_same_bits_for_it() -> None:
    bits = chosen_bits(
        BitChoice(network=(4, 4), alone={"layer1.0.shortcut": (6, 7), "conv1": (3, None)}), FOUND
    )
    assert bits["layer1.0.conv1"] == (4, 7)
    assert bits["layer1.0.shortcut"] == (6, 7)
    assert bits["conv1"] == (3, None)


class Block:
    """A block of the network above, as a plan sees it."""

    def __init__(self, layers: tuple[str, ...], readers: tuple[str, ...] = ()) -> None:
        self.name, self.layers, self.readers, self.paths = layers[0], layers, readers, layers[:1]
        self.has_shortcut = bool(readers)

    def run(self, model: Any, x: Any) -> Any:
        raise NotImplementedError


BLOCKS = [
    Block(("conv1",)),
    Block(tuple(PATHS[1:4]), ("layer1.0.conv1", "layer1.0.shortcut")),
    Block(("fc",)),
]


@pytest.mark.parametrize("seed", range(6))
def test_the_recipe_plans_exactly_the_chosen_bits(folder: RunFolder, seed: int) -> None:
    rng = random.Random(seed)
    alone = {
        path: (rng.randint(2, 8), None if path == "conv1" else rng.randint(2, 8)) for path in PATHS
    }
    picked = dict(rng.sample(list(alone.items()), seed % 4))
    choice = BitChoice(
        network=(rng.randint(2, 8), rng.randint(2, 8)) if seed % 2 else None, alone=picked
    )
    bits = chosen_bits(choice, FOUND)
    recipe = recipe_of(CATALOG, **recipe_at(folder.recipe, bits, FOUND))
    plan = plan_bits(
        BLOCKS,
        weight_bits=recipe.weight_bits,
        activation_bits=recipe.activation_bits,
        edge_rule="qdrop",
    )
    plan = with_bits(plan, recipe.quantization_settings)
    assert {path: (one.weight_bits, one.activation_bits) for path, one in plan.items()} == bits


def test_an_input_that_the_run_left_float_stays_so_in_its_recipe(folder: RunFolder) -> None:
    """As a budget of milliseconds leaves it; the image needs no word."""
    inputs = PLANNED["activation_bits"] | {"layer1.0.conv2": None, "fc": None}
    found = FOUND | {"planned": PLANNED | {"activation_bits": inputs}}
    bits = chosen_bits(BitChoice(), found)
    named = recipe_at(folder.recipe, bits, found)["quantization_settings"]["bits"]
    assert named == {"weight_bits": {}, "activation_bits": {"layer1.0.conv2": 32, "fc": 32}}
    assert {path: one for path, (_, one) in bits.items()} == inputs


def test_bits_alike_need_no_bits_of_their_own(folder: RunFolder) -> None:
    wanted = recipe_at(folder.recipe, chosen_bits(BitChoice(network=(3, 5)), FOUND), FOUND)
    assert "bits" not in wanted["quantization_settings"]
    assert (wanted["weight_bits"], wanted["activation_bits"]) == (3, 5)
    assert wanted["quantization_settings"]["steps"] == folder.recipe.quantization_settings["steps"]


def test_a_quantizer_that_chooses_bits_gives_way_to_its_rounding(runs: Path) -> None:
    recipe = fabricate(runs, Fabricated(quantization="mixed", seed=4)).recipe
    wanted = recipe_at(recipe, chosen_bits(BitChoice(alone={"fc": (3, 3)}), FOUND), FOUND)
    assert wanted["quantization"] == "nearest"
    assert wanted["quantization_settings"] == {
        "bits": {"weight_bits": {"fc": 3}, "activation_bits": {"fc": 3}}
    }
