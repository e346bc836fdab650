"""What a method needs, and the reason where a network lacks it."""

import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.core.needs import NEEDS, why_not
from engine.run.recipes.recipe import make_recipe
from tests.toys import catalog

COMPLETE = {
    "batchnorm_layers": 3,
    "convolutions": 3,
    "classes": 10,
    "calibration_images": True,
    "calibration_labels": True,
}
LACKING = {
    "batchnorm": {"batchnorm_layers": 0},
    "convolutions": {"convolutions": 0},
    "classes": {"classes": 0},
    "real-images": {"calibration_images": False},
    "labelled-images": {"calibration_labels": False},
}


@pytest.mark.parametrize("need", NEEDS)
def test_every_need_can_be_met_and_can_be_lacking(need):
    assert why_not([need], COMPLETE) is None
    reason = why_not([need], COMPLETE | LACKING[need])
    assert reason
    assert "\n" not in reason
    assert why_not([other for other in NEEDS if other != need], COMPLETE) is None


def test_what_is_not_known_of_a_network_is_no_reason():
    assert why_not(NEEDS, {}) is None


def test_labels_without_images_are_none():
    assert why_not(["labelled-images"], COMPLETE | {"calibration_images": False})


def test_a_misspelt_need_is_a_programmer_s_mistake():
    with pytest.raises(KeyError, match="batch-norm"):
        why_not(["batch-norm"], COMPLETE)


def test_every_method_speaks_this_vocabulary():
    from engine.quantization import discover_methods as quantizers
    from engine.synthesis import discover_methods as synthesisers

    for cls in (*synthesisers().values(), *quantizers().values()):
        assert why_not(cls.card.needs, COMPLETE) is None


def recipe_for(network, needs, **settings):
    content = catalog()
    content["models"][0] |= network
    content["models"][0]["settings"].append(
        {"name": "calibration", "type": "str", "presets": dict.fromkeys(("quick", "standard", "paper"), "")}
    )  # fmt: skip
    content["synthesis"][0]["needs"] = needs
    return make_recipe(
        content, model="toy", synthesis="dream", quantization="nearest", model_settings=settings
    )


def test_a_recipe_that_cannot_work_is_refused_before_it_begins():
    with pytest.raises(UserError, match="'dream' cannot work on 'toy': it needs BatchNorm"):
        recipe_for({"batchnorm_layers": 0}, ["batchnorm"])
    assert recipe_for({"batchnorm_layers": 1}, ["batchnorm"])


def test_a_network_that_gives_embeddings_has_no_classes():
    content = catalog()
    output = {
        "name": "output",
        "type": "str",
        "presets": dict.fromkeys(("paper", "standard", "quick"), "classes"),
    }
    content["models"][0]["settings"].append(output)
    content["synthesis"][0]["needs"] = ["classes"]
    names = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}
    assert make_recipe(content, **names)
    with pytest.raises(UserError, match="it needs a classifier"):
        make_recipe(content, **names, model_settings={"output": "embedding"})


def test_a_folder_of_the_user_s_stands_in_for_the_network_s_own_images(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    network = {"calibration_images": False, "calibration_labels": False}
    with pytest.raises(UserError, match="real images"):
        recipe_for(network, ["labelled-images"])
    assert recipe_for(network, ["labelled-images"], calibration=str(tmp_path))
