"""A budget of milliseconds: the table against the layers themselves, the choice against brute force."""

import io
import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.core.errors import UserError
from engine.core.sampling.randomness import stream
from engine.quantization.bits import bit_allocation
from engine.quantization.bits.bit_allocation import AllocationSettings, BitAllocation
from engine.quantization.bits.candidates import find_tied_layers
from engine.quantization.bits.cost_table import Costs, make_table
from engine.quantization.bits.kernel_times import KernelTimes, layer_graph, measure_kernels
from engine.quantization.bits.solvers import greedy, integer, pareto_front
from engine.quantization.grids.quantizers import Makers
from engine.quantization.methods.mixed import Mixed, MixedSettings
from tests.contracts.nets import quantizing

WORK = quantizing(weight_bits=3)
OWNER = {p: one.block if one.by_block else p for p, one in WORK.plan.items()}
pairs_of_ms = st.lists(
    st.tuples(*[st.floats(0.001, 5)] * 2), min_size=len(WORK.plan), max_size=len(WORK.plan)
)


def spent(plan, times):
    """The time of a plan, by the table: layer by layer, as a user would add it up."""
    return sum(
        times[path].of_float if one.activation_bits is None else times[path].of_int8
        for path, one in plan.items()
    )


def costs_of(times):
    return Costs(kind="latency", weights={}, macs={}, times=times)


@given(ms=pairs_of_ms, share=st.floats(0.3, 1.5), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_budget_is_kept_and_no_other_choice_within_it_minds_less(ms, share, seed):
    """Every choice of inputs that stay float tried by hand; weights at 2 or 3 bits cost no time."""
    times = {path: KernelTimes(*map(float, pair)) for path, pair in zip(WORK.plan, ms, strict=True)}
    rng, drawn = torch.Generator().manual_seed(seed), {}

    def sensitivity(path, what, bits):
        key = (path, what, bits)
        drawn.setdefault(key, float(torch.rand((), generator=rng)) / 4**bits)
        return drawn[key]

    groups = find_tied_layers(WORK.plan, OWNER, (2, 3), inputs=False, float_inputs=True)
    costs = costs_of(times)
    table = make_table(groups, costs, sensitivity)
    budget = int(share * sum(costs.of(group, group.planned) for group in groups))
    within = []
    for choice in itertools.product(*([None, group.planned.input] for group in groups)):
        minded = cost = 0
        for group, given_bits in zip(groups, choice, strict=True):
            column = 0 if given_bits is None else 1
            cost += sum(round(1e6 * times[path][column]) for path in group.layers)
            minded += sum(min(sensitivity(p, "weight", b) for b in (2, 3)) for p in group.free)
            minded += 0 if given_bits is None else sensitivity(group.owner, "input", given_bits)
        if cost <= budget:
            within.append(minded)
    for found in (pareto_front(table).within(budget), integer(table, budget)):
        if not within:
            assert found is None
            continue
        assert found.cost <= budget
        assert found.sensitivity == pytest.approx(min(within), rel=1e-6, abs=1e-9)
    quick = greedy(table, budget)
    assert (quick is None) is (not within)
    assert quick is None or quick.cost <= budget


def test_bits_of_weights_and_widths_of_inputs_take_no_time_whether_an_input_is_quantized_does():
    times = {path: KernelTimes(k + 1.0, 0.5) for k, path in enumerate(WORK.plan)}
    groups = find_tied_layers(WORK.plan, OWNER, (2, 3, 8), inputs=True, float_inputs=True)
    costs = costs_of(times)
    for group in groups:
        assert None in group.inputs
        by_input = {choice.input is None: costs.of(group, choice) for choice in group.candidates()}
        assert all(
            costs.of(group, choice) == by_input[choice.input is None]
            for choice in group.candidates()
        )
        assert by_input[True] == sum(round(1e6 * times[p].of_float) for p in group.layers)
        assert by_input[False] == len(group.layers) * 500_000
        assert costs.least(group) == min(by_input.values())


def allocation(monkeypatch, of_float, of_int8, **changes):
    """The machine, with the same made-up times for every layer."""
    made = {path: KernelTimes(of_float, of_int8) for path in WORK.plan}
    monkeypatch.setattr(bit_allocation, "measure_kernels", lambda *_: made)
    chosen = {"sensitivity": "kl", "bits": range(2, 6), "cost": "latency", "share": 1.0,
              "solver": "exact", "probes": 4} | changes  # fmt: skip
    machine = BitAllocation(
        WORK.teacher, WORK.blocks, WORK.plan, WORK.images, settings=AllocationSettings(**chosen),
        makers=Makers(), rng=stream(0, "bits"),
    )  # fmt: skip
    return machine, made


def solved(machine):
    while machine.state_dict()["steps_done"] < machine.total_steps:
        machine.step()
    return machine.solve()


@pytest.mark.parametrize("solver", ["exact", "integer", "greedy"])
@pytest.mark.parametrize("milliseconds", [6.8, 8.5, 11.0, 14.0])
def test_milliseconds_are_kept_layers_without_a_choice_counted(monkeypatch, milliseconds, solver):
    machine, times = allocation(monkeypatch, 2.0, 0.8, milliseconds=milliseconds, solver=solver)
    plan, report = solved(machine)
    assert report["budget"] == milliseconds
    assert report["chosen"]["cost"] == pytest.approx(spent(plan, times))
    assert report["chosen"]["cost"] <= milliseconds
    runs = {row["path"]: row["runs"] for row in report["kernels"]["layers"]}
    assert runs == {
        path: "float" if one.activation_bits is None else "int8" for path, one in plan.items()
    }
    for group in machine._groups:  # nothing more that would be float fits in
        if plan[group.layers[0]].activation_bits is not None:
            assert report["chosen"]["cost"] + 1.2 * len(group.layers) > milliseconds


def test_where_8_bits_are_never_faster_every_input_stays_float_and_a_line_says_so(monkeypatch):
    plan, report = solved(allocation(monkeypatch, 0.5, 0.7)[0])
    assert all(one.activation_bits is None for one in plan.values())
    assert report["kernels"]["sentence"].startswith("No choice of bits saves time here")
    assert report["chosen"]["cost"] == pytest.approx(0.5 * len(plan))
    assert all(row["activation_bits"] is None for row in report["inputs"])


def test_too_few_milliseconds_are_told_with_the_fastest_and_a_choice_that_was_begun_goes_on(
    monkeypatch,
):
    machine, _ = allocation(monkeypatch, 2.0, 0.8, milliseconds=1.0)
    with pytest.raises(
        UserError, match=r"milliseconds is 1: too little, the fastest choice takes 6.8 ms"
    ):
        machine.step()
    machine, _ = allocation(monkeypatch, 2.0, 0.8, share=0.5)
    with pytest.raises(UserError, match=r"share is 0.5: too little, .* 6.8 ms .*100.% of"):
        machine.step()
    begun, _ = allocation(monkeypatch, 2.0, 0.8, milliseconds=9.0)
    begun.step()
    state = io.BytesIO()
    torch.save(begun.state_dict(), state)
    state.seek(0)
    # When it goes on the machine is busy, and all takes three times as long: the first table counts.
    later, _ = allocation(monkeypatch, 6.0, 2.4, milliseconds=9.0)
    later.load_state_dict(torch.load(state, weights_only=True))
    assert solved(later) == solved(begun)


def test_the_kernels_are_timed_by_the_first_step_and_only_then(monkeypatch):
    """So that a choice that goes on, or whose bits are there already, does not take that time again."""
    machine, times = allocation(monkeypatch, 2.0, 0.8)
    timed = []
    monkeypatch.setattr(machine, "_measure", lambda: timed.append(machine) or times)
    assert not machine.state_dict()["times"]
    machine.step()
    state = machine.state_dict()
    assert len(state["times"]) == len(WORK.plan)
    machine.step()
    assert timed == [machine]
    later, _ = allocation(monkeypatch, 6.0, 2.4)
    monkeypatch.setattr(later, "_measure", lambda: pytest.fail("timed again"))
    later.load_state_dict(state)
    solved(later)


def test_settings_that_latency_does_not_go_with_are_refused():
    with pytest.raises(UserError, match=r"budget counts bytes; set the one to 0, or the other to"):
        Mixed(MixedSettings(milliseconds=3))
    with pytest.raises(UserError, match=r"latency chooses inputs: set it to kl, output or sqnr"):
        Mixed(MixedSettings(budget="latency", sensitivity="hessian"))
    Mixed(MixedSettings(budget="latency", milliseconds=3, inputs=True))


# --- what is timed -----------------------------------------------------------------------------------

LAYERS = {
    "plain": (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 9, 9)),
    "strided": (nn.Conv2d(4, 6, 3, stride=2, padding=(1, 0), bias=False), (1, 4, 9, 7)),
    "depthwise": (nn.Conv2d(6, 6, 3, padding=1, groups=6), (1, 6, 8, 8)),
    "dilated": (nn.Conv2d(2, 4, 3, dilation=2, padding="same"), (1, 2, 9, 9)),
    "linear": (nn.Linear(12, 5), (1, 12)),
    "tokens": (nn.Linear(12, 5, bias=False), (1, 7, 12)),
}


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_both_kernels_compute_the_layer(name):
    layer, shape = LAYERS[name]
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    answers = [run(layer_graph(layer, shape, integer=integer), x) for integer in (False, True)]
    wanted = layer(x).numpy()
    assert np.allclose(answers[0], wanted, atol=1e-5)
    if isinstance(layer, nn.Linear) and layer.bias is not None:
        wanted = wanted - layer.bias.numpy()  # is left out there
    reach = float(layer.weight.abs().flatten(1).sum(1).max()) + 1
    assert np.abs(answers[1] - wanted).max() < 2 * reach / 127
    assert np.corrcoef(answers[1].ravel(), wanted.ravel())[0, 1] > 0.95


def run(model, x):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.numpy()})[0]


def test_the_8_bit_kernel_is_one_of_whole_numbers():
    import onnx

    for name, operator in (("plain", "QLinearConv"), ("tokens", "QLinearMatMul")):
        layer, shape = LAYERS[name]
        model = onnx.load_model_from_string(layer_graph(layer, shape, integer=True))
        assert [node.op_type for node in model.graph.node][1] == operator


def test_a_layer_that_runs_twice_takes_twice_its_time_and_layers_alike_the_same():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

        def forward(self, x):
            return self.c(self.b(self.a(self.a(x))))

    found = measure_kernels(Twice(), ["a", "b", "c"], torch.rand(1, 3, 8, 8), repeats=3)
    assert found["b"] == found["c"]
    assert found["a"] == KernelTimes(2 * found["b"].of_float, 2 * found["b"].of_int8)
    assert min(found["b"]) > 0
