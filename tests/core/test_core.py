"""Randomness without global state, hooks that never stay, methods that are found once."""

import sys
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from engine.core import device
from engine.core.method import Machine, MethodCard, Settings, describe, discover, knob, knob_of
from engine.core.sampling.randomness import derive, seeded_init, stream
from engine.core.trace import computed_by, count_hooks, watch_inputs, watch_outputs
from tests.toys import Failing, TwoBlocks


class TestRandomness:
    def test_the_same_seed_and_purpose_give_the_same_numbers(self):
        first, second = (torch.rand(4, generator=stream(3, "batch", 1)) for _ in range(2))
        assert torch.equal(first, second)

    def test_seeds_and_purposes_are_told_apart(self):
        seeds = [derive(0), derive(1), derive(0, "a"), derive(0, "b"), derive(0, "a", 1)]
        assert len(set(seeds)) == len(seeds)
        assert all(0 <= seed < 2**63 for seed in seeds)

    def test_a_seed_is_the_same_on_every_machine(self):
        assert derive(0, "synthesis", 1) == 8184666976713526819

    def test_a_stream_leaves_the_global_generator_alone(self):
        before = torch.get_rng_state()
        torch.rand(3, generator=stream(0, "x"))
        assert torch.equal(before, torch.get_rng_state())

    def test_initialisers_draw_from_the_stream_and_leave_the_global_generator_alone(self):
        before = torch.get_rng_state()
        weights = []
        for seed in (1, 1, 2):
            with seeded_init(stream(seed)):
                weights.append(nn.Linear(3, 3).weight.detach())
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])
        assert torch.equal(before, torch.get_rng_state())


class TestTrace:
    @pytest.mark.parametrize("watch", [watch_inputs, watch_outputs])
    def test_listens_inside_only(self, watch):
        model, heard = TwoBlocks().eval(), []
        x = torch.full((1, 1, 1, 1), 3.0)
        with watch(model, ["first", "second"], lambda path, y: heard.append((path, y.item()))):
            assert count_hooks(model) == 2
            model(x)
        model(x)
        one = {watch_inputs: (3.0, 2.5), watch_outputs: (2.5, 2.0)}[watch]
        assert heard == [("first", one[0]), ("second", one[1])]
        assert count_hooks(model) == 0

    @pytest.mark.parametrize("watch", [watch_inputs, watch_outputs])
    def test_no_hook_stays_after_an_error_in_the_network(self, watch):
        model = Failing()
        with pytest.raises(RuntimeError), watch(model, ["fine", "broken"], lambda path, y: None):
            model(torch.ones(1, 2))
        assert count_hooks(model) == 0

    @pytest.mark.parametrize("watch", [watch_inputs, watch_outputs])
    def test_no_hook_stays_after_an_error_in_the_listener_or_a_wrong_path(self, watch):
        model = TwoBlocks().eval()

        def refuse(path, y):
            raise KeyError(path)

        with pytest.raises(KeyError), watch(model, ["first"], refuse):
            model(torch.ones(1, 1, 1, 1))
        with (
            pytest.raises(AttributeError),
            watch(model, ["first", "nowhere"], lambda path, y: None),
        ):
            pass
        assert count_hooks(model) == 0

    def test_a_stand_in_computes_inside_only_and_may_ask_the_module_itself(self):
        model, x = TwoBlocks().eval(), torch.full((1, 1, 1, 1), 3.0)
        with computed_by(model, ["first"], lambda path, x, forward: forward(x) + len(path)):
            assert count_hooks(model) == 1
            assert model(x).item() == 2.5 + 5 - 0.5
        assert model(x).item() == 2.0
        assert count_hooks(model) == 0

    def test_what_an_instance_computed_before_it_computes_again(self):
        model = TwoBlocks().eval()
        model.first.forward = lambda x: x
        with computed_by(model, ["first"], lambda path, x, forward: forward(2 * x)):
            assert model(torch.full((1, 1, 1, 1), 3.0)).item() == 5.5
        assert model(torch.full((1, 1, 1, 1), 3.0)).item() == 2.5

    def test_no_stand_in_stays_after_an_error(self):
        model = Failing()
        with (
            pytest.raises(RuntimeError),
            computed_by(model, ["fine", "broken"], lambda path, x, forward: forward(x)),
        ):
            model(torch.ones(1, 2))
        assert count_hooks(model) == 0


class Plugin:
    """What the packages made below hold."""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that makes an importable package of modules, each defining named Plugins."""
    made = []

    def make(name, **modules):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        for module, names in modules.items():
            lines = ["import builtins", "from engine.core.method import MethodCard"]
            for i, card in enumerate(names):
                lines += [
                    f"class Found{i}(builtins.PLUGIN_OF_TEST):",
                    f"    card = MethodCard(name={card!r}, title='', summary='', paper='')",
                ]
            (folder / f"{module}.py").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr("builtins.PLUGIN_OF_TEST", Plugin, raising=False)
        made.append(name)
        return __import__(name)

    yield make
    for module in [m for m in sys.modules if m.split(".")[0] in made]:
        del sys.modules[module]


class TestDiscover:
    def test_finds_every_class_with_a_card_in_order_of_name(self, package):
        found = discover(package("several", one=["zebra"], two=["ant", "bee"]), Plugin)
        assert list(found) == ["ant", "bee", "zebra"]

    def test_two_of_one_name_are_refused(self, package):
        with pytest.raises(TypeError, match="two methods are called 'same'"):
            discover(package("doubled", one=["same"], two=["same"]), Plugin)

    def test_other_kinds_and_bases_without_a_card_are_left_out(self, package):
        assert discover(package("others", one=["x"]), nn.Module) == {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Some(Settings):
    steps: int = knob(1000, label="Steps", help="how many", low=1, high=9999, quick=0, standard=50)
    rule: str = knob("a", label="Rule", help="which", choices=("a", "b"))


class TestSettings:
    def test_are_described_as_plain_data(self):
        steps, rule = describe(Some)
        assert steps["presets"] == {"paper": 1000, "standard": 50, "quick": 0}
        assert (steps["type"], steps["low"], steps["high"]) == ("int", 1, 9999)
        assert rule["presets"] == {"paper": "a", "standard": "a", "quick": "a"}
        assert rule["choices"] == ["a", "b"]

    def test_the_budget_comes_first_then_its_own_then_what_all_share(self):
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Family(Some):
            own: bool = knob(True, label="Own", help="")
            batch: int = knob(1, label="Batch", help="")

        assert [one["name"] for one in describe(Family)] == ["steps", "batch", "own", "rule"]

    def test_what_cannot_change_later_and_what_is_off_are_declared(self):
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Declared(Some):
            batch: int = knob(1, label="Batch", help="")
            seen: int = knob(8, label="Seen", help="", fixed=True, off=0)
            kind: str = knob("a", label="Kind", help="", choices=("a", "b", "c"), off=("b", "c"))

        found = {one["name"]: (one["fixed"], one["off"]) for one in describe(Declared)}
        assert found == {
            "steps": (True, []), "batch": (True, []), "seen": (True, [0]),
            "kind": (False, ["b", "c"]), "rule": (False, []),
        }  # fmt: skip

    def test_a_toggle_and_a_weight_that_may_be_0_need_not_say_what_is_off(self):
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Parts(Settings):
            swing: bool = knob(False, label="", help="")
            tv_weight: float = knob(1.0, label="", help="", low=0)
            first_weight: float = knob(1.0, label="", help="", low=0, off=1.0)
            weight_step: float = knob(1.0, label="", help="", low=1e-6)
            weighted: str = knob("weight", label="", help="", within="swing")

        off = {one["name"]: one["off"] for one in describe(Parts)}
        assert off == {
            "swing": [False], "tv_weight": [0.0], "first_weight": [1.0], "weight_step": [],
            "weighted": [],
        }  # fmt: skip
        assert [one["within"] for one in describe(Parts)] == ["", "", "", "", "swing"]

    def test_what_several_families_share_stands_last_in_their_order(self):
        @dataclass(frozen=True, kw_only=True)
        class More(Settings):
            more: int = knob(1, label="More", help="")

        @dataclass(frozen=True, slots=True, kw_only=True)
        class Both(More, Some):
            own: bool = knob(True, label="Own", help="")

        @dataclass(frozen=True, slots=True, kw_only=True)
        class Child(Both):
            last: bool = knob(True, label="Last", help="")

        names = [one["name"] for one in describe(Child)]
        assert names == ["steps", "own", "last", "rule", "more"]

    def test_a_knob_of_another_method_differs_only_where_it_says_so(self):
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Other(Settings):
            steps: int = knob_of(Some, "steps", default=7, standard=9)

        (steps,), (origin, _) = describe(Other), describe(Some)
        assert steps["presets"] == {"paper": 7, "standard": 9, "quick": 0}
        changed = {"default", "presets"}
        assert {k: v for k, v in steps.items() if k not in changed} == {
            k: v for k, v in origin.items() if k not in changed
        }
        with pytest.raises(TypeError, match="a knob has no hight"):
            knob_of(Some, "steps", hight=3)

    def test_a_field_that_is_no_knob_is_refused(self):
        @dataclass(frozen=True, slots=True, kw_only=True)
        class Bare(Settings):
            steps: int

        with pytest.raises(TypeError, match="steps is not declared with knob"):
            describe(Bare)

    def test_a_card_and_settings_cannot_be_changed(self):
        card = MethodCard(name="x", title="X", summary="", paper="")
        with pytest.raises(AttributeError):
            card.name = "y"

    def test_an_optimiser_is_no_machine(self):
        assert not isinstance(torch.optim.SGD([torch.zeros(1)]), Machine)


class TestDevice:
    def test_the_one_asked_for(self):
        assert device.choose("cpu") == torch.device("cpu")

    def test_is_described_for_a_page(self):
        assert device.describe(torch.device("cpu")).endswith("1 threads")
        assert device.cores() >= 1
