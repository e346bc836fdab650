"""Bits for each layer: the solver against brute force, the sensitivities against their definitions."""

import copy
import io
import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import UserError
from engine.core.randomness import stream
from engine.quantization.allocation import Option, greedy, pareto_front
from engine.quantization.methods.mixed import Mixed, MixedSettings
from engine.quantization.quantizers import WeightQuantizer
from engine.quantization.sensitivity import AllocationSettings, BitAllocation
from tests.contracts.nets import quantizing

options = st.lists(
    st.tuples(st.integers(1, 30), st.floats(0, 10).map(lambda v: round(v, 3))),
    min_size=1,
    max_size=4,
)
tables = st.lists(options, min_size=1, max_size=5).map(
    lambda rows: [
        [Option(bits=k + 2, cost=cost, harm=harm) for k, (cost, harm) in enumerate(row)]
        for row in rows
    ]
)


def every(table):
    for picks in itertools.product(*(range(len(row)) for row in table)):
        chosen = [row[k] for row, k in zip(table, picks, strict=True)]
        yield sum(o.cost for o in chosen), sum(o.harm for o in chosen)


@given(table=tables, budget=st.integers(0, 150))
@settings(max_examples=80, deadline=None)
def test_dynamic_programming_is_brute_force(table, budget):
    affordable = [harm for cost, harm in every(table) if cost <= budget]
    front = pareto_front(table)
    found, quick = front.within(budget), greedy(table, budget)
    assert front.exact
    if not affordable:
        assert found is None
        assert quick is None
        return
    assert found.harm == pytest.approx(min(affordable))
    for allocation in (found, quick):
        chosen = [row[k] for row, k in zip(table, allocation.picks, strict=True)]
        assert sum(option.cost for option in chosen) == allocation.cost <= budget
        assert sum(option.harm for option in chosen) == pytest.approx(allocation.harm)
    assert quick.harm >= found.harm - 1e-9


@given(table=tables)
@settings(max_examples=40, deadline=None)
def test_the_front_rises_in_cost_falls_in_harm_and_nothing_beats_it(table):
    front = pareto_front(table)
    assert (front.costs[1:] > front.costs[:-1]).all()
    assert (front.harms[1:] < front.harms[:-1]).all()
    for cost, harm in every(table):
        assert ((front.costs <= cost) & (front.harms <= harm + 1e-9)).any()


def test_a_front_too_long_is_thinned_and_says_so():
    table = [
        [Option(bits=2, cost=0, harm=2.0**k), Option(bits=3, cost=2**k, harm=0)] for k in range(8)
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
        work.teacher, work.plan, work.images, settings=chosen, make_quantizer=WeightQuantizer,
        rng=stream(0, "bits"),
    )  # fmt: skip
    return work, machine


def solved(machine):
    while machine._steps_done < machine.total_steps:
        machine.step()
    return machine.solve()


FREE = ["down.conv1", "down.conv2", "down.shortcut.0", "same.conv1", "same.conv2"]


@torch.no_grad()
def test_the_kl_of_a_layer_is_that_of_the_teacher_with_it_alone_rounded():
    work, machine = allocation()
    _, report = solved(machine)
    rows = {row["path"]: row["harm"] for row in report["layers"]}
    other = copy.deepcopy(work.teacher)
    quantizer = WeightQuantizer(2)
    quantizer.fit(other.down.conv2.weight)
    other.down.conv2.weight.copy_(quantizer(other.down.conv2.weight))
    p, q = F.softmax(work.teacher(work.images), 1), F.softmax(other(work.images), 1)
    wanted = (p * (p / q).log()).sum(1).mean()
    assert rows["down.conv2"]["2"] == pytest.approx(float(wanted), rel=1e-3)
    assert rows["down.conv2"]["5"] < rows["down.conv2"]["2"]


@pytest.mark.parametrize("sensitivity", ["kl", "hessian", "sqnr"])
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
    assert report["chosen"]["harm"] <= uniform["harm"] + 1e-12
    assert report["chosen"]["harm"] <= report["greedy"]["harm"] + 1e-12
    if cost == "bytes":
        sizes = {path: work.teacher.get_submodule(path).weight.numel() for path in FREE}
        spent = sum(size * plan[path].weight_bits for path, size in sizes.items()) / 8
        assert report["chosen"]["cost"] == spent
    after = work.teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(p.requires_grad for p in work.teacher.parameters())


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
    estimate = float(machine._traces[FREE.index("same.conv2")]) / 400
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


def test_a_budget_that_buys_nothing_says_so():
    machine = allocation(share=0.5)[1]
    with pytest.raises(UserError, match=r"quantization.share is 0.5: too little"):
        solved(machine)
    with pytest.raises(UserError, match="lowest is 5; it must not be above"):
        Mixed(MixedSettings(lowest=5, highest=4))


def test_the_quantizer_behind_takes_its_own_preset_and_the_shared_knobs():
    method = Mixed(MixedSettings(rounding="genie-m", effort="quick", weight_range="min-max"))
    assert method.steps_per_block() == method._inner.settings.steps > 0
    assert method._inner.settings.weight_range == "min-max"
    assert method._inner.settings.keep_float == 0.5
