"""A recipe is complete, checked, and named by its content."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.core.errors import UserError
from engine.core.method import describe
from engine.run.recipes.recipe import Recipe, make_recipe
from engine.run.recipes.settings import checked
from engine.synthesis.methods.external import External
from engine.synthesis.methods.noise import Noise
from tests.toys import _knob as a_knob
from tests.toys import catalog

NAMES = {"model": "toy", "synthesis": "dream", "quantization": "nearest"}


def make(**wanted):
    return make_recipe(catalog(), **NAMES | wanted)


class TestRunId:
    def test_is_the_same_for_the_same_content(self):
        assert make().run_id == make().run_id
        assert Recipe.from_json(make(seed=4).to_json()).run_id == make(seed=4).run_id

    def test_does_not_depend_on_the_preset_s_name(self):
        quick = make(preset="quick")
        values = {"synthesis_settings": quick.synthesis_settings, "images": quick.images}
        assert make(preset="standard", **values).run_id == quick.run_id
        assert make(preset="standard").run_id != quick.run_id

    @pytest.mark.parametrize(
        "change",
        [{"seed": 1}, {"weight_bits": 2}, {"activation_bits": 2}, {"images": 5}, {"edge_rule": "all"},
         {"data": str(Path(__file__).parent)}, {"weights": __file__}, {"synthesis_settings": {"steps": 101}},
         {"model_settings": {"mean": [0.4]}}],
    )  # fmt: skip
    def test_depends_on_everything_else(self, change):
        assert make(**change).run_id != make().run_id

    def test_does_not_depend_on_how_a_number_was_typed(self):
        typed = make(synthesis_settings={"steps": "100", "rate": "1e-1", "swing": "yes"})
        assert typed.run_id == make().run_id

    def test_can_be_a_folder_s_name(self):
        name = Recipe(model="/a/B c.py:f", synthesis="dream", quantization="nearest").run_id
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


class TestFolder:
    """Of images made elsewhere: absolute in the recipe, and its content part of the name."""

    def made(self, folder, **wanted):
        entries = catalog()
        entries["synthesis"][0]["settings"].append(a_knob("folder", "", "str"))
        settings = {"synthesis_settings": {"folder": str(folder)}}
        return make_recipe(entries, **NAMES | settings | wanted)

    @pytest.fixture
    def folder(self, tmp_path):
        place = tmp_path / "faces"
        place.mkdir()
        for k in range(3):
            (place / f"{k}.png").write_bytes(bytes([k] * 40))
        return place

    def test_is_absolute_however_it_was_written(self, folder, monkeypatch):
        monkeypatch.chdir(folder.parent)
        recipe = self.made("faces")
        assert recipe.synthesis_settings["folder"] == str(folder)
        assert recipe.run_id == self.made(folder).run_id

    def test_real_images_to_calibrate_with_are_located_too(self, folder, monkeypatch):
        """The worker runs elsewhere: what is written from here must be found from there."""
        monkeypatch.chdir(folder.parent)
        entries = catalog()
        entries["models"][0]["settings"].append(a_knob("calibration", "", "str"))
        settings = {"model_settings": {"calibration": "faces"}}
        recipe = make_recipe(entries, **NAMES | settings)
        assert recipe.model_settings["calibration"] == str(folder)
        (folder / "0.png").write_bytes(b"z" * 40)
        assert make_recipe(entries, **NAMES | settings).run_id != recipe.run_id

    @pytest.mark.parametrize("change", ["bytes", "name", "one more"])
    def test_another_content_is_another_run(self, folder, change):
        before = self.made(folder, images=2)
        if change == "bytes":
            (folder / "1.png").write_bytes(b"z" * 40)
        elif change == "name":
            (folder / "1.png").rename(folder / "1b.png")
        else:
            (folder / "3.png").write_bytes(b"z")
        after = self.made(folder, images=2)
        assert after.contents["folder"] != before.contents["folder"]
        assert after.run_id != before.run_id

    def test_the_same_content_is_the_same_wherever_it_lies(self, folder):
        before = self.made(folder).contents
        moved = folder.rename(folder.parent / "elsewhere")
        assert self.made(moved).contents == before

    @pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
    def test_a_mistake_is_one_line_that_names_the_folder(self, tmp_path, kind):
        place = tmp_path / "place"
        if kind == "empty":
            place.mkdir()
        elif kind == "a file":
            place.write_text("")
        with pytest.raises(UserError, match=r"place.*images") as raised:
            self.made(place)
        assert "\n" not in str(raised.value)

    @pytest.fixture
    def program(self, tmp_path):
        file = tmp_path / "faces.py"
        file.write_text("def faces(): ...")
        return file

    def test_a_program_in_its_place_is_absolute_and_its_text_part_of_the_name(
        self, program, monkeypatch
    ):
        monkeypatch.chdir(program.parent)
        recipe = self.made("faces.py:faces", own_code=True)
        assert recipe.synthesis_settings["folder"] == f"{program}:faces"
        assert recipe.run_id == self.made(f"{program}:faces", own_code=True).run_id
        program.write_text("def faces(): return []")
        assert self.made("faces.py:faces", own_code=True).run_id != recipe.run_id

    def test_a_program_is_refused_where_nobody_vouches_for_it(self, program):
        """What a page's form holds was typed by whoever has opened the page."""
        with pytest.raises(UserError, match=r"faces\.py:faces.*command line") as raised:
            self.made(f"{program}:faces")
        assert "\n" not in str(raised.value)

    def test_a_program_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(UserError, match=r"gone\.py"):
            self.made(tmp_path / "gone.py:faces", own_code=True)

    def test_what_cannot_be_read_is_named(self, folder, monkeypatch):
        def refuse(path, *args, **more):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("engine.core.outside.files.os.open", refuse)
        with pytest.raises(UserError, match=r"0\.png cannot be read: Permission denied"):
            self.made(folder)

    @pytest.mark.parametrize("name", ["", " "])
    def test_a_method_that_reads_a_folder_does_not_begin_without(self, name):
        with pytest.raises(
            UserError,
            match=r"^synthesis\.folder is empty; give a folder of images$",
        ):
            self.made(name)

    def test_it_is_the_method_for_images_from_elsewhere_that_reads_one(self):
        entries = catalog()
        cards = {"external": External, "noise": Noise}
        entries["synthesis"] = [
            {"name": name, "settings": describe(cls.Settings)} for name, cls in cards.items()
        ]
        with pytest.raises(UserError, match="folder is empty"):
            make_recipe(entries, **NAMES | {"synthesis": "external"})
        assert make_recipe(entries, **NAMES | {"synthesis": "noise"}).contents == {}


class TestPresets:
    def test_a_model_s_budget_goes_over_a_method_s(self):
        assert make(preset="quick").synthesis_settings["steps"] == 7
        assert make(preset="quick").images == 16

    def test_what_a_budget_says_of_one_method_goes_over_what_it_says_of_its_kind(self):
        entries = catalog()
        (model,), (named,) = entries["models"], entries["synthesis"]
        model["presets"] = {
            "quick": {
                f"synthesis.{named['name']}.steps": 9, "synthesis.steps": 7, "images": 16,
                f"synthesis.{named['name']}.images": 12,
            }
        }  # fmt: skip
        entries["synthesis"].append(named | {"name": "another"})
        one = make_recipe(entries, **NAMES, preset="quick")
        assert (one.images, one.synthesis_settings["steps"]) == (12, 9)
        other = make_recipe(entries, **NAMES | {"synthesis": "another"}, preset="quick")
        assert (other.images, other.synthesis_settings["steps"]) == (16, 7)

    def test_a_model_s_budget_does_not_begin_what_the_preset_leaves_out(self):
        entries = catalog()
        presets = next(k for k in entries["synthesis"][0]["settings"] if k["name"] == "steps")[
            "presets"
        ]
        presets["quick"] = 0
        assert make_recipe(entries, **NAMES, preset="quick").synthesis_settings["steps"] == 0
        given = {"synthesis_settings": {"steps": 5}}
        assert (
            make_recipe(entries, **NAMES, preset="quick", **given).synthesis_settings["steps"] == 5
        )

    def test_what_the_user_gives_goes_over_both(self):
        given = make(preset="quick", images=3, synthesis_settings={"steps": "5"})
        assert (given.images, given.synthesis_settings["steps"]) == (3, 5)

    def test_every_setting_is_in_the_recipe(self):
        assert set(make().synthesis_settings) == {"steps", "rate", "swing", "start"}
        assert make().model_settings == {"mean": [0.5]}


def test_a_weight_of_1_bit_is_for_a_quantizer_that_has_levels_for_it():
    entries = catalog()
    (nearest,) = entries["quantization"]
    entries["quantization"].append(nearest | {"name": "binary", "fewest_weight_bits": 1})
    one = make_recipe(entries, **NAMES | {"quantization": "binary", "weight_bits": "1"})
    assert one.weight_bits == 1
    with pytest.raises(UserError, match="weight bits is 0; choose 1 to 8"):
        make_recipe(entries, **NAMES | {"quantization": "binary", "weight_bits": 0})
    with pytest.raises(UserError, match="weight bits is 1; choose 2 to 8"):
        make_recipe(entries, **NAMES, weight_bits=1)


def test_an_activation_of_1_bit_is_for_a_quantizer_that_has_signs():
    entries = catalog()
    (nearest,) = entries["quantization"]
    entries["quantization"].append(nearest | {"name": "signs", "fewest_activation_bits": 1})
    one = make_recipe(entries, **NAMES | {"quantization": "signs", "activation_bits": 1})
    assert one.activation_bits == 1
    with pytest.raises(UserError, match="activation bits is 1; choose 2 to 8"):
        make_recipe(entries, **NAMES, activation_bits=1)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"model": "tyo"}, "network 'tyo' is not known; choose one of toy"),
        ({"synthesis": "x"}, "synthesis method 'x' is not known; choose one of dream"),
        ({"quantization": "x"}, "quantization method 'x' is not known; choose one of nearest"),
        ({"preset": "slow"}, "preset 'slow' is not known; choose one of quick, standard, paper"),
        ({"weight_bits": 9}, "weight bits is 9; choose 2 to 8"),
        ({"activation_bits": 1}, "activation bits is 1; choose 2 to 8"),
        ({"images": 0}, "images is 0; choose 1 to"),
        ({"seed": -1}, "seed is -1; choose 0 to"),
        ({"edge_rule": "x"}, "edge rule 'x' is not known; choose one of brecq"),
        ({"synthesis_settings": {"step": 1}}, "synthesis.step is not a setting here; there are: rate"),
        ({"quantization_settings": {"x": 1}}, "quantization.x is not a setting here; there are: none"),
        ({"synthesis_settings": {"steps": 0}}, "synthesis.steps is 0; it must lie between 1 and 1000"),
        ({"synthesis_settings": {"steps": "many"}}, "synthesis.steps is 'many'; give a whole number"),
        ({"synthesis_settings": {"steps": "1.5"}}, "synthesis.steps is '1.5'; give a whole number"),
        ({"synthesis_settings": {"rate": "nan"}}, "synthesis.rate is 'nan'; give a finite number"),
        ({"synthesis_settings": {"swing": "maybe"}}, "synthesis.swing is 'maybe'; give true or false"),
        ({"synthesis_settings": {"start": "x"}}, "synthesis.start is 'x'; choose one of noise, grey"),
        ({"model_settings": {"mean": "a,b"}}, "model.mean is 'a,b'; give finite numbers with commas"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_value_and_the_way_out(wanted, message):
    with pytest.raises(UserError) as raised:
        make(**wanted)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_an_infinite_whole_number_is_a_mistake_and_not_a_crash(value):
    with pytest.raises(UserError, match="give a whole number"):
        checked({"name": "steps", "type": "int"}, value, "synthesis.steps")


def test_a_list_is_typed_with_commas():
    assert make(model_settings={"mean": ".1,.2"}).model_settings == {"mean": [0.1, 0.2]}


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_arrays_and_tensors_are_taken_as_lists(kind):
    shape, mean = {"name": "image_shape", "type": "list"}, {"name": "mean", "type": "list"}
    assert checked(shape, kind([3, 32, 32]), "model.image_shape") == [3.0, 32.0, 32.0]
    assert checked(mean, kind([0.5, 0.25]), "model.mean") == [0.5, 0.25]
    steps = {"name": "steps", "type": "int", "low": 1, "high": 9}
    assert checked(steps, kind(4), "synthesis.steps") == 4
    with pytest.raises(UserError, match=r"synthesis.steps is \[4\]; give a whole number"):
        checked(steps, kind([4]), "synthesis.steps")


def test_true_is_no_number():
    with pytest.raises(UserError, match=r"synthesis\.steps is True; give a whole number"):
        checked({"name": "steps", "type": "int"}, True, "synthesis.steps")
