"""What each choice costs, by hand; every combination that is offered; the codes of a timed kernel."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from engine.quantization.bits.candidates import (
    Candidate,
    TiedLayers,
    find_tied_layers,
    with_candidates,
)
from engine.quantization.bits.cost_table import Costs, make_table
from engine.quantization.bits.kernel_times import KernelTimes, _codes
from engine.quantization.plan import LayerBits

GROUP = TiedLayers(
    layers=("a", "b"), owner="block", bits=(2, 3, 4), inputs=(3, 6),
    planned=Candidate(weights=(4, 8), input=4), free=("a",),
)  # fmt: skip
PAIR = TiedLayers(
    layers=("a", "b"), owner="block", bits=(2, 4), inputs=(), planned=Candidate(weights=(4, 4), input=5),
    free=("a", "b"),
)  # fmt: skip
KNOWN = {"weights": {"a": 10, "b": 7}, "macs": {"a": 100, "b": 30}}


def test_bytes_are_of_codes_that_have_a_choice():
    costs = Costs(kind="bytes", **KNOWN)
    assert costs.of(GROUP, Candidate(weights=(3, 8), input=3)) == 30
    assert costs.of(PAIR, Candidate(weights=(2, 4), input=5)) == 20 + 28
    assert costs.unit(36) == 4.5
    assert costs.least(PAIR) == 2 * 17


def test_operations_are_of_all_layers_and_of_a_float_input_as_of_8_bits():
    costs = Costs(kind="bit-operations", **KNOWN)
    assert costs.of(GROUP, Candidate(weights=(3, 8), input=6)) == 100 * 3 * 6 + 30 * 8 * 6
    assert costs.of(GROUP, Candidate(weights=(3, 8), input=None)) == 100 * 3 * 8 + 30 * 8 * 8
    assert costs.least(GROUP) == 100 * 2 * 3 + 30 * 8 * 3
    assert costs.unit(77) == 77.0


def test_time_is_that_of_each_layer_s_kernel_and_of_what_has_no_choice():
    times = {
        "a": KernelTimes(of_float=0.5, of_int8=0.2),
        "b": KernelTimes(of_float=1.0, of_int8=2.0),
    }
    costs = Costs(kind="latency", **KNOWN, times=times, fixed=400_000)
    assert costs.of(GROUP, Candidate(weights=(3, 8), input=None)) == 1_500_000
    assert costs.of(GROUP, Candidate(weights=(3, 8), input=3)) == 2_200_000
    assert costs.unit(1_500_000) == pytest.approx(1.9)


def test_a_group_offers_every_combination_measures_each_part_once_and_keeps_what_is_fixed():
    offered = [(one.weights, one.input) for one in GROUP.candidates()]
    assert offered == [((bits, 8), reads) for reads in (3, 6) for bits in (2, 3, 4)]
    assert list(GROUP.entries()) == [
        *[("a", "weight", bits) for bits in (2, 3, 4)], *[("block", "input", bits) for bits in (3, 4, 6)],
    ]  # fmt: skip
    assert [(one.weights, one.input) for one in GROUP.cheapest()] == [((2, 8), 3), ((2, 8), 6)]
    assert list(GROUP.changed(Candidate(weights=(3, 8), input=6))) == [
        ("a", "weight", 3), ("block", "input", 6),
    ]  # fmt: skip
    assert list(GROUP.changed(Candidate(weights=(3, 8), input=None))) == [("a", "weight", 3)]
    assert [one.input for one in PAIR.candidates()] == [5] * 4
    assert list(PAIR.changed(Candidate(weights=(2, 4), input=5))) == [
        ("a", "weight", 2), ("b", "weight", 4),
    ]  # fmt: skip


def test_of_layers_that_share_an_input_the_table_has_all_that_nothing_beats():
    def minds(path, what, bits):
        return {"a": 3.0, "b": 1.0, "block": 0.5}[path] / bits

    group = TiedLayers(
        layers=("a", "b"), owner="block", bits=(2, 3, 4), inputs=(2, 6),
        planned=Candidate(weights=(4, 4), input=4), free=("a", "b"),
    )  # fmt: skip
    costs = Costs(kind="bit-operations", **KNOWN)
    (row,) = make_table([group], costs, minds)
    every = [
        (costs.of(group, one), sum(minds(*entry) for entry in group.changed(one)))
        for one in group.candidates()
    ]
    for option in row:
        assert option.cost == costs.of(group, option.bits)
        assert option.sensitivity == pytest.approx(
            sum(minds(*e) for e in group.changed(option.bits))
        )
    for cost, sensitivity in every:
        assert any(o.cost <= cost and o.sensitivity <= sensitivity + 1e-9 for o in row)


def plan_of(**bits):
    return {
        path: LayerBits(path=path, block=path, weight_bits=w, activation_bits=a, by_block=False)
        for path, (w, a) in bits.items()
    }


PLAN = plan_of(first=(8, None), a=(4, 8), b=(4, 4), c=(4, 6), last=(8, 8))
OWNER = {"first": "first", "a": "a", "b": "block", "c": "block", "last": "last"}


@pytest.mark.parametrize(("inputs", "floats"), [*itertools.product((False, True), repeat=2)])
def test_edges_at_8_bits_have_no_choice_and_shared_inputs_have_one(inputs, floats):
    owner = OWNER if inputs or floats else {path: path for path in PLAN}
    groups = find_tied_layers(PLAN, owner, (2, 4), inputs=inputs, float_inputs=floats)
    told = {group.owner: (group.layers, group.inputs, group.free) for group in groups}
    spared = (None,) if floats else ()

    def reads(planned, chosen):
        return (*spared, *((2, 4) if chosen and inputs else (planned,) if spared else ()))

    wanted = {"a": (("a",), reads(8, False), ("a",))}
    if inputs or floats:
        wanted["block"] = (("b", "c"), reads(6, True), ("b", "c"))
    else:
        wanted |= {path: ((path,), (), (path,)) for path in "bc"}
    if floats:
        wanted["last"] = (("last",), (None, 8), ())
    assert told == wanted
    if groups and inputs:
        (block,) = [group for group in groups if group.owner == "block"]
        assert block.planned == Candidate(weights=(4, 4), input=6)
        made = with_candidates(PLAN, [block], [Candidate(weights=(2, 3), input=4)])
        assert [(made[p].weight_bits, made[p].activation_bits) for p in "bc"] == [(2, 4), (3, 4)]
        assert made["a"] == PLAN["a"]


def test_a_plan_is_not_made_of_fewer_choices_than_there_are_layers_to_choose_for():
    """Those left over would keep the bits that they had."""
    for choices in ([], [Candidate(weights=(2,), input=4)]):
        with pytest.raises(ValueError, match="zip"):
            with_candidates(PLAN, [replace(PAIR, layers=("b", "c"))], choices)


def test_the_codes_of_a_timed_kernel_are_the_nearest_on_grids_that_nothing_leaves():
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(4, 3, 3, 3)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    codes = _codes(w, b)
    step = float(codes["w_step"])
    assert int(np.abs(codes["w"].astype(int)).max()) == 127
    assert np.abs(codes["w"] * step - w).max() <= step / 2 + 1e-6
    assert np.abs(codes["b"] * step * float(codes["x_step"]) - b).max() <= step / 255
    # Inputs in [0, 1] give at most the sum of all weights' sizes and the bias.
    most = max(float(np.abs(w[k]).sum() + abs(b[k])) for k in range(4))
    low, high = ((end - int(codes["y_zero"])) * float(codes["y_step"]) for end in (0, 255))
    assert low <= -most
    assert most <= high * (1 + 1e-6)
    assert high == pytest.approx(most)
    assert (int(codes["x_zero"]), int(codes["w_zero"])) == (0, 0)
    assert float(codes["x_step"]) * 255 == pytest.approx(1)
    none = _codes(np.zeros((2, 3), np.float32), np.zeros(2, np.float32))
    assert not none["w"].any()
    assert np.isfinite(none["y_step"])
