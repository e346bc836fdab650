"""Bits for each layer: the solver against brute force, the sensitivities against their definitions."""

import copy
import io
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import UserError
from engine.core.method import describe
from engine.core.sampling.randomness import stream
from engine.quantization import discover_methods
from engine.quantization.bits.bit_allocation import AllocationSettings, BitAllocation
from engine.quantization.bits.candidates import find_tied_layers
from engine.quantization.bits.cost_table import Costs, make_table
from engine.quantization.bits.solvers import Option, greedy, integer, pareto_front
from engine.quantization.grids.quantizers import ActivationQuantizer, Makers, WeightQuantizer
from engine.quantization.methods.mixed import Mixed, MixedSettings
from tests.contracts.nets import quantizing

METHODS = discover_methods()
BEHIND = next(k["choices"] for k in describe(MixedSettings) if k["name"] == "rounding")

options = st.lists(
    st.tuples(st.integers(1, 30), st.floats(0, 10).map(lambda v: round(v, 3))),
    min_size=1,
    max_size=4,
)


def tables_of(rows):
    return rows.flatmap(lambda n: st.lists(options, min_size=n, max_size=n)).map(
        lambda rows: [
            [
                Option(bits=k + 2, cost=cost, sensitivity=sensitivity)
                for k, (cost, sensitivity) in enumerate(row)
            ]
            for row in rows
        ]
    )


tables = tables_of(st.integers(1, 5))


def every(table):
    for picks in itertools.product(*(range(len(row)) for row in table)):
        chosen = [row[k] for row, k in zip(table, picks, strict=True)]
        yield sum(o.cost for o in chosen), sum(o.sensitivity for o in chosen)


@given(table=tables, budget=st.integers(0, 150))
@settings(max_examples=80, deadline=None)
def test_dynamic_programming_is_brute_force(table, budget):
    affordable = [sensitivity for cost, sensitivity in every(table) if cost <= budget]
    front = pareto_front(table)
    found, quick = front.within(budget), greedy(table, budget)
    assert front.exact
    if not affordable:
        assert found is None
        assert quick is None
        return
    assert found.sensitivity == pytest.approx(min(affordable))
    for allocation in (found, quick):
        chosen = [row[k] for row, k in zip(table, allocation.picks, strict=True)]
        assert sum(option.cost for option in chosen) == allocation.cost <= budget
        assert sum(option.sensitivity for option in chosen) == pytest.approx(allocation.sensitivity)
    assert quick.sensitivity >= found.sensitivity - 1e-9


@given(table=tables_of(st.integers(4, 12)), budget=st.integers(20, 250))
@settings(max_examples=60, deadline=None)
def test_the_integer_programme_finds_the_same_least_sensitivity(table, budget):
    wanted = pareto_front(table).within(budget)
    found = integer(table, budget)
    if wanted is None:
        assert found is None
        return
    chosen = [row[k] for row, k in zip(table, found.picks, strict=True)]
    assert sum(option.cost for option in chosen) == found.cost <= budget
    assert sum(option.sensitivity for option in chosen) == pytest.approx(found.sensitivity)
    assert found.sensitivity == pytest.approx(wanted.sensitivity, abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_integer_programme_leaves_no_gap_for_a_whole_network(seed):
    rng = np.random.default_rng(seed)
    table = [
        [
            Option(bits=b, cost=int(size) * b, sensitivity=float(sensitivity) / 3.5**b)
            for b in range(2, 9)
        ]
        for size, sensitivity in zip(rng.integers(1, 40, 50), rng.uniform(0.1, 1, 50), strict=True)
    ]
    budget = sum(row[2].cost for row in table)
    assert integer(table, budget).sensitivity == pytest.approx(
        pareto_front(table).within(budget).sensitivity
    )


def test_the_integer_programme_keeps_budgets_of_any_size_to_the_last_operation():
    """Costs as bit operations are: far beyond what a solver's tolerance of 1e-6 can tell apart."""
    dear = 10**12 + 1
    table = [
        [
            Option(bits=2, cost=dear, sensitivity=1.0),
            Option(bits=3, cost=dear + 3, sensitivity=1e-7 * k),
        ]
        for k in range(1, 6)
    ]
    for budget in (5 * dear, 5 * dear + 2, 5 * dear + 3, 5 * dear + 8, 5 * dear + 9):
        found = integer(table, budget)
        assert found.cost <= budget
        assert found.sensitivity == pytest.approx(
            pareto_front(table).within(budget).sensitivity, rel=1e-9
        )
    assert integer(table, 5 * dear - 1) is None


@given(table=tables)
@settings(max_examples=40, deadline=None)
def test_the_front_rises_in_cost_falls_in_sensitivity_and_nothing_beats_it(table):
    front = pareto_front(table)
    assert (front.costs[1:] > front.costs[:-1]).all()
    assert (front.sensitivities[1:] < front.sensitivities[:-1]).all()
    for cost, sensitivity in every(table):
        assert ((front.costs <= cost) & (front.sensitivities <= sensitivity + 1e-9)).any()


def test_a_front_too_long_is_thinned_and_says_so():
    table = [
        [Option(bits=2, cost=0, sensitivity=2.0**k), Option(bits=3, cost=2**k, sensitivity=0)]
        for k in range(8)
    ]
    front = pareto_front(table, most_sums=20)
    assert not front.exact
    assert len(front) <= 20
    assert pareto_front(table).exact


def allocation(**changes):
    work = quantizing(weight_bits=3)
    chosen = AllocationSettings(
        **{"sensitivity": "kl", "bits": range(2, 6), "cost": "bytes", "share": 1.0, "solver": "exact",
           "probes": 4} | changes
    )  # fmt: skip
    machine = BitAllocation(
        work.teacher, work.blocks, work.plan, work.images, settings=chosen, makers=Makers(),
        rng=stream(0, "bits"),
    )  # fmt: skip
    return work, machine


def solved(machine):
    while machine.state_dict()["steps_done"] < machine.total_steps:
        machine.step()
    return machine.solve()


FREE = ["down.conv1", "down.conv2", "down.shortcut.0", "same.conv1", "same.conv2"]


@torch.no_grad()
def test_the_kl_of_a_layer_is_that_of_the_teacher_with_it_alone_rounded():
    work, machine = allocation()
    _, report = solved(machine)
    rows = {row["path"]: row["sensitivity"] for row in report["layers"]}
    other = copy.deepcopy(work.teacher)
    quantizer = WeightQuantizer(2)
    quantizer.fit(other.down.conv2.weight)
    other.down.conv2.weight.copy_(quantizer(other.down.conv2.weight))
    p, q = F.softmax(work.teacher(work.images), 1), F.softmax(other(work.images), 1)
    wanted = (p * (p / q).log()).sum(1).mean()
    assert rows["down.conv2"]["2"] == pytest.approx(float(wanted), rel=1e-3)
    assert rows["down.conv2"]["5"] < rows["down.conv2"]["2"]


@pytest.mark.parametrize("sensitivity", ["kl", "hessian", "output", "sqnr"])
@pytest.mark.parametrize("cost", ["bytes", "bit-operations"])
def test_the_plan_costs_no_more_than_the_one_before_and_leaves_the_edges(sensitivity, cost):
    work, machine = allocation(sensitivity=sensitivity, cost=cost)
    before = {name: value.clone() for name, value in work.teacher.state_dict().items()}
    plan, report = solved(machine)
    assert [row["path"] for row in report["layers"]] == FREE
    assert plan["stem.0"] == work.plan["stem.0"]
    assert plan["head.2"] == work.plan["head.2"]
    assert report["chosen"]["cost"] <= report["budget"]
    uniform = next(one for one in report["uniform"] if one["weight_bits"] == 3)
    assert uniform["cost"] == report["budget"]
    assert report["chosen"]["sensitivity"] <= uniform["sensitivity"] + 1e-12
    assert report["chosen"]["sensitivity"] <= report["greedy"]["sensitivity"] + 1e-12
    if cost == "bytes":
        sizes = {path: work.teacher.get_submodule(path).weight.numel() for path in FREE}
        spent = sum(size * plan[path].weight_bits for path, size in sizes.items()) / 8
        assert report["chosen"]["cost"] == spent
    after = work.teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(p.requires_grad for p in work.teacher.parameters())


# --- activations too -----------------------------------------------------------------------------

INPUTS = {"down.conv2", "same", "same.conv2"}  # owners; "same": its convolution and its shortcut


def test_inputs_that_are_shared_have_one_width_and_those_at_the_edges_keep_theirs():
    machine = allocation(inputs=True, cost="bit-operations")[1]
    plan, report = solved(machine)
    assert {one["path"] for one in report["inputs"]} == INPUTS
    held = {"stem.0": None, "down.conv1": 8, "down.shortcut.0": 8, "head.2": 8}
    assert {path: plan[path].activation_bits for path in held} == held
    given_bits = {one["path"]: one["activation_bits"] for one in report["inputs"]}
    assert plan["same.conv1"].activation_bits == given_bits["same"]
    assert report["chosen"]["cost"] <= report["budget"]
    before = next(one for one in report["uniform"] if one["weight_bits"] == 3)
    assert before["cost"] == report["budget"]
    assert report["chosen"]["sensitivity"] <= before["sensitivity"] + 1e-12


@pytest.mark.parametrize("rule", ["brecq", "all"])
@pytest.mark.parametrize("solver", ["exact", "integer", "greedy"])
def test_pairs_of_widths_are_solved_as_brute_force_solves_them(rule, solver):
    """Harms and costs made up; every combination of weight and activation bits tried by hand."""
    work = quantizing(weight_bits=3, activation_bits=3, rule=rule)
    owner = {
        path: work.plan[path].block if work.plan[path].by_block else path for path in work.plan
    }
    rng = torch.Generator().manual_seed(0)
    drawn = {}

    def sensitivity(path, what, bits):
        key = (path, what, bits)
        drawn.setdefault(key, float(torch.rand((), generator=rng)) / 4**bits)
        return drawn[key]

    found = find_tied_layers(work.plan, owner, (2, 3), inputs=True)[:4]
    sizes = {path: k + 1 for k, path in enumerate(work.plan)}
    costs = Costs(kind="bit-operations", weights=sizes, macs={p: 7 * k for p, k in sizes.items()})
    table = make_table(found, costs, sensitivity)
    budget = sum(costs.of(group, group.planned) for group in found)
    whole = []
    for choices in itertools.product(*(list(group.candidates()) for group in found)):
        pairs = list(zip(found, choices, strict=True))
        cost = sum(costs.of(*pair) for pair in pairs)
        if cost <= budget:
            whole.append(
                sum(sensitivity(*one) for group, pick in pairs for one in group.changed(pick))
            )
    solve = {"integer": integer, "greedy": greedy}.get(
        solver, lambda table, budget: pareto_front(table).within(budget)
    )
    answer = solve(table, budget)
    assert answer.cost <= budget
    if solver == "greedy":
        assert answer.sensitivity >= min(whole) - 1e-12
    else:
        assert answer.sensitivity == pytest.approx(min(whole), rel=1e-6)


@torch.no_grad()
def test_the_kl_of_an_input_is_that_of_the_teacher_with_it_alone_quantized():
    work, machine = allocation(inputs=True, cost="bit-operations")
    _, report = solved(machine)
    rows = {row["path"]: row["sensitivity"] for row in report["inputs"]}
    other = copy.deepcopy(work.teacher)
    quantizer = ActivationQuantizer(2)
    other.same.register_forward_pre_hook(lambda _, args: (quantizer(args[0]), *args[1:]))
    p, q = F.softmax(work.teacher(work.images), 1), F.softmax(other(work.images), 1)
    wanted = (p * (p / q).log()).sum(1).mean()
    assert rows["same"]["2"] == pytest.approx(float(wanted), rel=1e-3)
    assert rows["same"]["5"] < rows["same"]["2"]


def test_activations_without_a_price_or_a_measure_are_refused():
    with pytest.raises(UserError, match=r"set quantization.budget to bit-operations"):
        Mixed(MixedSettings(inputs=True))
    with pytest.raises(UserError, match=r"set it to kl, output or sqnr"):
        Mixed(MixedSettings(inputs=True, budget="bit-operations", sensitivity="hessian"))


# --- do the sensitivities add up? ------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [False, True])
def test_what_bits_do_together_is_measured_on_a_student_that_has_them(inputs):
    """Against a whole student, made by the plan and fitted to the teacher's own inputs."""
    work, machine = allocation(inputs=inputs, cost="bit-operations", bits=(2, 3))
    _, report = solved(machine)
    (chosen,) = [one for one in report["additivity"] if one["chosen"]]
    assert chosen["sensitivity"] == pytest.approx(report["chosen"]["sensitivity"])
    assert chosen["ratio"] == pytest.approx(chosen["kl_together"] / chosen["sensitivity"])
    free = {row["path"]: row["weight_bits"] for row in report["layers"]}
    summed = sum(row["sensitivity"][str(row["weight_bits"])] for row in report["layers"])
    summed += sum(row["sensitivity"][str(row["activation_bits"])] for row in report["inputs"])
    assert summed == pytest.approx(chosen["sensitivity"])
    with torch.no_grad():
        other, seen = copy.deepcopy(work.teacher), {}
        for row in report["inputs"]:
            quantizer = seen[row["path"]] = ActivationQuantizer(row["activation_bits"])
            module = other.get_submodule(row["path"])
            module.register_forward_pre_hook(lambda _, a, q=quantizer: (q(a[0]), *a[1:]))
        for row in report["inputs"]:  # each is fitted alone: the others let all pass
            kept = {path: q.forward for path, q in seen.items() if path != row["path"]}
            for path in kept:
                seen[path].forward = lambda x: x
            other(work.images)
            for path, forward in kept.items():
                seen[path].forward = forward
        for path, bits in free.items():
            quantizer = WeightQuantizer(bits)
            weight = other.get_submodule(path).weight
            quantizer.fit(weight)
            weight.copy_(quantizer(weight))
        p, q = F.softmax(work.teacher(work.images), 1), F.softmax(other(work.images), 1)
        wanted = (p * (p / q).log()).sum(1).mean()
    assert chosen["kl_together"] == pytest.approx(float(wanted), rel=1e-3)


def test_points_of_the_front_are_measured_together_too_and_only_a_kl_is_summed():
    _, report = solved(allocation(bits=range(2, 9))[1])
    costs = [one["cost"] for one in report["additivity"]]
    assert len(costs) >= 4
    assert costs == sorted(costs)
    assert costs[0] == report["front"][0][0]
    assert costs[-1] == report["front"][-1][0]
    assert all(one["ratio"] > 0 for one in report["additivity"])
    assert solved(allocation(sensitivity="sqnr")[1])[1]["additivity"] == []


def test_the_trace_of_the_curvature_is_the_mean_squared_gradient_of_drawn_labels():
    """Against one backward pass for every image and every label, weighed by the label's probability."""
    work, machine = allocation(sensitivity="hessian", probes=400)
    for _ in range(400):
        machine.step()
    model = copy.deepcopy(work.teacher)
    weight = model.same.conv2.weight.requires_grad_()
    total = 0.0
    for image in work.images:
        log_p = F.log_softmax(model(image[None]), 1)[0]
        for k in range(3):
            (g,) = torch.autograd.grad(log_p[k], weight, retain_graph=True)
            total += float(log_p[k].detach().exp() * g.square().sum())
    estimate = float(machine.state_dict()["traces"][FREE.index("same.conv2")]) / 400
    assert estimate == pytest.approx(total / len(work.images), rel=0.25)


@pytest.mark.parametrize("sensitivity", ["kl", "hessian"])
def test_measuring_goes_on_where_it_was_saved(sensitivity):
    straight = allocation(sensitivity=sensitivity)[1]
    wanted = solved(straight)
    broken_off, resumed = (allocation(sensitivity=sensitivity)[1] for _ in range(2))
    broken_off.step()
    broken_off.step()
    resumed.step()
    buffer = io.BytesIO()
    torch.save(broken_off.state_dict(), buffer)
    buffer.seek(0)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    assert solved(resumed) == wanted


def test_a_budget_that_buys_nothing_says_so_before_anything_is_measured():
    with pytest.raises(
        UserError, match=r"share is 0.5: too little, 2 bits .* cost 67.%.*; raise it$"
    ):
        allocation(share=0.5)
    for cost in ("bytes", "bit-operations"):
        with pytest.raises(
            UserError, match=r"share is 1: .* cost 133.%.*quantization.lowest \(4\) down"
        ):
            allocation(bits=range(4, 9), cost=cost)
    allocation(bits=range(4, 9), share=1.34)
    with pytest.raises(UserError, match="lowest is 5; it must not be above"):
        Mixed(MixedSettings(lowest=5, highest=4))


@pytest.mark.parametrize("inputs", [False, True])
def test_the_cheapest_choice_is_the_cheapest_of_all(inputs):
    machine = allocation(inputs=inputs, cost="bit-operations")[1]
    for group in machine._groups:
        costs = [machine._costs.of(group, choice) for choice in group.candidates()]
        assert machine._costs.least(group) == min(costs)


def test_a_share_is_taken_as_it_is_written():
    """In floating point 1.15 is a little less, and its product with a whole number may be too."""
    work = quantizing(weight_bits=5)
    for share, wanted in ((1.15, 6969), (2.3, 13938), (1.0, 6060)):
        settings = AllocationSettings(
            sensitivity="sqnr",
            bits=range(2, 9),
            cost="bytes",
            share=share,
            solver="exact",
            probes=1,
        )
        machine = BitAllocation(
            work.teacher, work.blocks, work.plan, work.images, settings=settings, makers=Makers(),
            rng=stream(0, "bits"),
        )  # fmt: skip
        assert machine._afforded() == wanted  # of 1212 weights


@pytest.mark.parametrize(("lowest", "highest"), [(2, 8), (3, 5), (4, 4)])
def test_bits_are_chosen_from_the_lowest_to_the_highest_both_included(lowest, highest):
    work = quantizing(weight_bits=5)
    method = Mixed(MixedSettings(lowest=lowest, highest=highest, share=1.0))
    machine = method.planner(work.teacher, work.blocks, work.plan, work.images, stream(0, "bits"))
    offered = [choice.weights for group in machine._groups for choice in group.candidates()]
    assert {bits for weights in offered for bits in weights} == {*range(lowest, highest + 1)}


def test_the_quantizer_behind_takes_its_own_preset_and_the_shared_knobs():
    method = Mixed(MixedSettings(rounding="genie-m", effort="quick", weight_range="min-max"))
    assert method.steps_per_block() == method._inner.settings.steps > 0
    assert method._inner.settings.weight_range == "min-max"
    assert method._inner.settings.keep_float == 0.5


@pytest.mark.parametrize("effort", ["quick", "standard", "paper"])
@pytest.mark.parametrize("rounding", BEHIND)
def test_the_quantizer_behind_keeps_its_own_correction_of_batchnorm(rounding, effort):
    knobs = {one["name"]: one["presets"][effort] for one in describe(METHODS[rounding].Settings)}
    method = Mixed(MixedSettings(rounding=rounding, effort=effort))
    # What corrects a block reads the method's own settings.
    assert method.settings.batchnorm == method._inner.settings.batchnorm == knobs["batchnorm"]
    other = Mixed(MixedSettings(rounding=rounding, effort=effort, batchnorm="momentum"))
    assert other.settings.batchnorm == other._inner.settings.batchnorm == "momentum"


def test_some_quantizer_behind_corrects_batchnorm_of_itself():
    assert Mixed(MixedSettings(rounding="lq-nets", effort="quick")).settings.batchnorm == "delta"


@pytest.mark.parametrize("rounding", BEHIND)
def test_what_holds_for_the_quantizer_behind_holds_for_mixed(rounding):
    method = Mixed(MixedSettings(rounding=rounding, effort="quick"))
    inner = method._inner
    assert (method.looks_ahead, method.exportable) == (inner.looks_ahead, inner.exportable)
    block = quantizing().blocks[1]
    assert method.steps_of(block) == inner.steps_of(block)
    made = torch.arange(12.0).view(3, 4)
    assert torch.equal(method.calibration(made), inner.calibration(made))
    fewer = Mixed(MixedSettings(rounding=rounding, effort="quick", steps=3))
    assert getattr(fewer._inner.settings, "steps", 3) == 3


def test_every_quantizer_can_stand_behind_but_mixed_itself():
    # Trains the whole network before any bits could be chosen.
    whole = {"gradient-l1", "pwfn", "dir-net", "sharing"}
    # A weight is not one code of so many bits, or bits vary within a layer: a budget would miscount.
    parts = {"cfws", "factorization", "daq"}
    assert set(BEHIND) == set(METHODS) - {"mixed"} - whole - parts
