"""What a layer minds, by each measure's own formula; numbers that stand in for it; what is reported."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.sampling.randomness import stream
from engine.quantization.bits import solvers
from engine.quantization.bits.allocation_report import POINTS, AllocationReport
from engine.quantization.bits.partial_student import PartialStudent
from engine.quantization.bits.sensitivity import Sensitivities
from engine.quantization.bits.solvers import Front, Option, greedy, pareto_front
from engine.quantization.grids.quantizers import Makers, WeightQuantizer
from tests.contracts.nets import quantizing

ENTRIES = [(path, "weight", bits) for path in ("same.conv1", "same.conv2") for bits in (2, 4)]


def measured(kind, entries=ENTRIES, probes=3):
    work = quantizing()
    partial = PartialStudent(work.teacher, work.blocks, work.plan, work.images, Makers())
    machine = Sensitivities(partial, entries, kind=kind, probes=probes, rng=stream(0, "s"))
    told = [float(machine.step()["sensitivity"]) for _ in range(machine.total_steps)]
    return work, partial, machine, told


def rounded(weight, bits):
    quantizer = WeightQuantizer(bits)
    quantizer.fit(weight)
    return quantizer(weight)


@torch.no_grad()
def test_noise_over_signal_of_the_weights_needs_nothing_else():
    work, _, machine, told = measured("sqnr")
    for (path, what, bits), found in zip(ENTRIES, told, strict=True):
        weight = work.teacher.get_submodule(path).weight
        noise = float((rounded(weight, bits) - weight).square().sum() / weight.square().sum())
        assert found == pytest.approx(noise, rel=1e-5)
        assert machine.of(path, what, bits) == pytest.approx(noise, rel=1e-5)


@torch.no_grad()
def test_by_curvature_it_is_the_mean_trace_of_a_weight_times_the_squared_error():
    work, _, machine, told = measured("hessian")
    assert machine.total_steps == 3
    traces = {path: machine.trace(path) for path in ("same.conv1", "same.conv2")}
    assert sum(traces.values()) == pytest.approx(sum(told) / 3)
    for path, what, bits in ENTRIES:
        weight = work.teacher.get_submodule(path).weight
        error = float((rounded(weight, bits) - weight).square().sum())
        wanted = traces[path] / weight.numel() * error
        assert machine.of(path, what, bits) == pytest.approx(wanted, rel=1e-5)


def test_numbers_that_stand_in_are_a_quarter_for_each_bit_more_and_leave_what_is_measured():
    work, partial, machine, _ = measured("sqnr")
    del work
    entries = [*ENTRIES, *[("down.conv1", "weight", bits) for bits in (2, 3, 8)]]
    more = Sensitivities(partial, entries, kind="sqnr", probes=1, rng=stream(0, "s"))
    more.load_state_dict(machine.state_dict())
    known = [machine.of(*entry) for entry in ENTRIES]
    more.stand_in()
    assert [more.of(*entry) for entry in ENTRIES] == known
    two, three, eight = (more.of("down.conv1", "weight", bits) for bits in (2, 3, 8))
    # Each entry counts a little more than the one before, so that none are equal.
    assert two / 5 == pytest.approx(4 * three / 6)
    assert two / 5 == pytest.approx(4**6 * eight / 7)
    assert 1 > two > three > eight > 0


# --- what is reported ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "kept"), [(1, 1), (2, 2), (POINTS, POINTS), (POINTS + 1, 101), (399, 200), (401, 135)]
)
def test_a_front_of_many_points_is_thinned_evenly_to_its_last(count, kept):
    front = Front(np.arange(count) * 10, 1.0 / (1 + np.arange(count)), True, [])
    report = AllocationReport(
        groups=(), table=(), costs=SimpleNamespace(unit=lambda cost: cost / 10), sensitivity=None,
        partial=None, front=front,
    )  # fmt: skip
    points = report._points()
    assert len(points) == kept
    assert points[-1][0] == count - 1
    assert all(value == pytest.approx(1 / (1 + cost)) for cost, value in points)
    steps = np.diff([cost for cost, _ in points])
    assert len({*steps[:-1]}) <= 1


def test_a_front_of_just_as_many_sums_as_are_kept_is_exact_and_its_ends_are_always_kept():
    table = [
        [Option(bits=2, cost=0, sensitivity=2.0**k), Option(bits=3, cost=2**k, sensitivity=0)]
        for k in range(4)
    ]
    whole = pareto_front(table)
    assert (len(whole), whole.exact) == (16, True)
    assert pareto_front(table, most_sums=16).exact
    thinned = pareto_front(table, most_sums=15)
    assert (len(thinned), thinned.exact) == (15, False)
    for end in (0, -1):
        assert thinned.costs[end] == whole.costs[end]
        assert thinned.sensitivities[end] == whole.sensitivities[end]


def test_where_the_solver_s_tolerance_overspends_it_is_asked_for_as_much_less(monkeypatch):
    """Costs come in threes: of a budget of 7 there is room for 2, and 2 too much are 1 less."""
    table = [
        [Option(bits=2, cost=10, sensitivity=1.0), Option(bits=3, cost=16, sensitivity=0.0)],
        [Option(bits=2, cost=20, sensitivity=1.0), Option(bits=3, cost=29, sensitivity=0.0)],
    ]
    rooms, answers = [], iter(([1, 0, 0, 1], [0, 1, 1, 0]))

    def solve(sensitivities, units, ends, room):
        assert sensitivities.tolist() == [1, 0, 1, 0]
        assert units.tolist() == [0, 2, 0, 3]
        assert ends.tolist() == [2, 4]
        rooms.append(room)
        return np.array(next(answers), float)

    monkeypatch.setattr(solvers, "_branch_and_bound", solve)
    found = solvers.integer(table, 30 + 7)
    assert rooms == [2, 1]
    assert (found.cost, found.sensitivity, found.picks) == (36, 1.0, (1, 0))


# --- the greedy choice --------------------------------------------------------------------------

rows = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=4)


def table_of(found):
    return [
        [Option(bits=k, cost=cost, sensitivity=float(s)) for k, (cost, s) in enumerate(row)]
        for row in found
    ]


@given(found=st.lists(rows, min_size=1, max_size=4), budget=st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_greedy_takes_the_upgrade_that_saves_most_for_its_cost_until_none_is_left(found, budget):
    table = table_of(found)
    picks = [[one.cost for one in row].index(min(one.cost for one in row)) for row in table]

    def cost(of):
        return sum(row[k].cost for row, k in zip(table, of, strict=True))

    def sensitivity(of):
        return sum(row[k].sensitivity for row, k in zip(table, of, strict=True))

    if cost(picks) > budget:
        assert greedy(table, budget) is None
        return
    while True:
        upgrades = []
        for layer, row in enumerate(table):
            for k in range(len(row)):
                other = [*picks[:layer], k, *picks[layer + 1 :]]
                more, less = cost(other) - cost(picks), sensitivity(picks) - sensitivity(other)
                if more > 0 and less > 0 and cost(other) <= budget:
                    upgrades.append((less / more, other))
        if not upgrades:
            break
        picks = max(upgrades, key=lambda one: one[0])[1]  # of equals the first
    assert greedy(table, budget).picks == tuple(picks)


@given(found=st.lists(rows, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_budget_of_just_the_cheapest_buys_it_and_one_less_buys_nothing(found):
    table = table_of(found)
    least = sum(min(one.cost for one in row) for row in table)
    assert greedy(table, least).cost == least
    assert greedy(table, least - 1) is None
    front = pareto_front(table)
    assert front.within(least).cost == least
    assert front.within(least - 1) is None
