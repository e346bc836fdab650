"""Names and numbers out of range: what the message offers instead is taken, one by one, and goes through."""

import dataclasses
import re

import pytest

from engine.core.errors import UserError
from engine.core.needs import NEEDS
from engine.models.card import catalog_entry
from engine.models.card_settings import STORED, VARIANCES
from engine.models.cards.sources import discover_cards
from engine.quantization import discover_methods as quantizers
from engine.run.catalog import _method_entry, named
from engine.run.commands.recipe import parse_settings
from engine.run.recipes.recipe import EDGE_RULES, PRESETS, Recipe, make_recipe
from engine.run.recipes.settings import checked
from engine.synthesis import discover_methods as synthesisers

NAMES = {"model": "resnet20-fashion", "synthesis": "genie", "quantization": "genie-m"}
CARDS = ("resnet20-fashion", "vgg-fashion", "repvgg-fashion")
ENTRIES = {
    "synthesis": [_method_entry(cls) for cls in synthesisers().values()],
    "quantization": [_method_entry(cls) for cls in quantizers().values()],
}
KNOBS = {
    f"{kind}.{one['name']}.{knob['name']}": knob
    for kind, entries in (*ENTRIES.items(), ("model", named()))
    for one in entries
    for knob in one["settings"]
}
WRONG = {
    "int": ("x", "1.5", "nan", "1e400", None, [1], "9" * 5000),
    "float": ("x", "nan", "inf", "-inf", "1e400", None, [1]),
    "bool": ("maybe", "2", None),
    "str": (None, [1], "a\0b"),
    "list": ("a", "1,,2", ".5,nan", "inf", "1e400", None, 3, [None], [[1]]),
}


@pytest.fixture(scope="module")
def catalog():
    return ENTRIES | {"models": [catalog_entry(discover_cards()[name]) for name in CARDS]}


def refusal(act):
    with pytest.raises(UserError) as raised:
        act()
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 1500
    return text


def offered(text, knob):
    """The values that a message offers."""
    _, _, way = text.partition("; ")
    if way.startswith("choose one of "):
        return way.removeprefix("choose one of ").split(", ")
    if found := re.search(r"must lie between (\S+) and (\S+)$", way):
        return list(found.groups())
    if found := re.search(r"must be (\S+) or (more|less)$", way):
        return [found[1]]
    if found := re.search(r"such as (\S+)$", way):
        return [found[1]]
    plain = {"a whole number": knob["default"], "a finite number": knob["default"], "a text": "x"}
    if way == "give true or false":
        return ["true", "false"]
    return [knob["choices"][0] if knob["choices"] else plain[way.removeprefix("give ")]]


@pytest.mark.parametrize("method", sorted({label.rpartition(".")[0] for label in KNOBS}))
def test_every_setting_says_what_it_takes(method):
    for label, knob in KNOBS.items():
        if label.rpartition(".")[0] == method:
            follow(label, knob)


def follow(label, knob):
    beyond = [knob["low"] - 1] if knob.get("low") is not None else []
    beyond += [knob["high"] + 1] if knob.get("high") is not None else []
    beyond += ["no such choice"] if knob.get("choices") else []
    for value in (*WRONG[knob["type"]], *beyond):
        text = refusal(lambda value=value: checked(knob, value, label))
        assert text.startswith(f"{label} is ")
        for way in offered(text, knob):
            checked(knob, way, label)


@pytest.mark.parametrize(
    "wanted",
    [{"model": "x"}, {"synthesis": "x"}, {"quantization": "x"}, {"preset": "x"}, {"edge_rule": "x"},
     {"weight_bits": 1}, {"activation_bits": "many"}, {"images": 0}, {"seed": -1}],
    ids=str,
)  # fmt: skip
def test_every_field_says_what_it_takes(catalog, wanted):
    (name,) = wanted
    text = refusal(lambda: make_recipe(catalog, **NAMES | wanted))
    way = text.partition("; choose ")[2]
    ways = re.split(r" to |, ", way.removeprefix("one of "))
    assert len(ways) > 1
    easy = {"synthesis": "noise", "quantization": "nearest"}  # they ask nothing of a network
    for one in ways:
        if one != "external":  # it needs a folder too, as it says when it is chosen
            assert make_recipe(catalog, **NAMES | easy | {name: one})


@pytest.mark.parametrize("kind", ["model", "synthesis", "quantization"])
def test_a_setting_that_is_not_there_lists_those_that_are(catalog, kind):
    text = refusal(lambda: make_recipe(catalog, **NAMES, **{f"{kind}_settings": {"x": 1}}))
    usual = dataclasses.asdict(make_recipe(catalog, **NAMES))[f"{kind}_settings"]
    if (
        kind == "model"
    ):  # a recipe has it only where it is not the usual: older recipes keep their names
        usual |= {VARIANCES: STORED}
    listed = text.partition("there are: ")[2].split(", ")
    assert set(listed) == set(usual)
    for name in listed:
        assert make_recipe(catalog, **NAMES, **{f"{kind}_settings": {name: usual[name]}})


def test_a_field_that_is_not_there_lists_those_that_are(catalog):
    text = refusal(lambda: make_recipe(catalog, **NAMES, bits=4))
    for name in text.partition("there are: ")[2].split(", "):
        assert name in {field.name for field in dataclasses.fields(Recipe)}
    assert set(PRESETS) | set(EDGE_RULES)


@pytest.mark.parametrize("text", ["steps=5", "synthesis.steps", "run.steps=5", "=", ".=1"])
def test_a_setting_that_is_not_understood_shows_how_to_write_one(text):
    said = refusal(lambda: parse_settings([text]))
    assert "write KIND.NAME=VALUE with KIND one of " in said
    for kind in said.partition("KIND one of ")[2].split(", "):
        assert parse_settings([f"{kind}.steps=5"])[kind] == {"steps": "5"}


@pytest.mark.parametrize("model", CARDS)
@pytest.mark.parametrize("kind", ENTRIES)
def test_what_cannot_work_on_a_network_names_what_can(catalog, kind, model, tmp_path):
    """Each method that is refused says what to set, or who can: both are tried."""
    (tmp_path / "own.py").write_text("def faces(): ...\n")
    folder = {"synthesis_settings": {"folder": f"{tmp_path}/own.py:faces"}}

    def begins(**changes):
        wanted = NAMES | {"model": model, "synthesis": "noise", "quantization": "nearest"} | changes
        more = folder if wanted["synthesis"] == "external" else {}
        return make_recipe(catalog, own_code=True, **wanted, **more)

    for method in ENTRIES[kind]:
        try:
            begins(**{kind: method["name"]})
        except UserError as error:
            text = str(error)
            for able in text.rpartition("these can: ")[2].split(", "):
                assert begins(**{kind: able})


def test_the_form_that_a_message_names_works(catalog):
    wanted = NAMES | {"model": "repvgg-fashion"}
    fused = {"model_settings": {"form": "fused"}}
    text = refusal(lambda: make_recipe(catalog, **wanted, **fused))
    form = re.search(r"set model\.form=(\w+)", text)[1]
    assert make_recipe(catalog, **wanted, model_settings={"form": form})


@pytest.mark.parametrize("need", sorted(NEEDS))
def test_every_need_that_a_setting_can_meet_is_met_by_it(catalog, need, tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.png").write_bytes(b"x")
    entries = catalog | {"synthesis": [{"name": "m", "settings": [], "needs": [need]}]}
    facts = {"batchnorm_layers": 0, "convolutions": 0, "classes": 0, "calibration_images": False}
    entries["models"] = [catalog["models"][0] | facts, *catalog["models"][1:]]
    wanted = NAMES | {"synthesis": "m", "quantization": "nearest"}
    text = refusal(lambda: make_recipe(entries, **wanted))
    if "set model.calibration" in text:
        assert make_recipe(entries, **wanted, model_settings={"calibration": str(tmp_path)})
    else:
        assert text.endswith("none here can; choose another network")
        assert make_recipe(entries, **wanted | {"model": "repvgg-fashion"})
