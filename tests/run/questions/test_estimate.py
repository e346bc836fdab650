"""Time and memory before a run: by hand from measured steps, by ratio from finished runs, or unknown."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.core.events import Stepped
from engine.core.method import describe
from engine.models.graph.blocks import find_blocks
from engine.quantization import discover_methods
from engine.quantization.bits import bit_allocation
from engine.quantization.bits.allocation_report import AllocationReport
from engine.quantization.bits.bit_allocation import BitAllocation
from engine.quantization.bits.kernel_times import KernelTimes
from engine.run.folders.folder import RunFolder
from engine.run.machine.resources import forget_peak, peak_memory_mb
from engine.run.questions.before_a_run import estimate as estimates
from engine.run.questions.before_a_run import pace
from engine.run.questions.before_a_run.estimate import estimate, memory_by_pace, seconds_by_pace
from engine.run.questions.before_a_run.pace import measure
from engine.run.questions.before_a_run.timing_sample import STEPS, extrapolated
from engine.run.recipes.recipe import Recipe
from tests.contracts.nets import TinyResNet

PACE: dict[str, Any] = {
    "synthesis": {
        "planned": [9, 9], "asked": 9, "step_s": [0.5, 0.01], "memory_mb": [300.0, 2.0], "busy": 1.0,
    },
    "quantization": {
        "blocks": 3, "batch": 8, "images": 16, "asked": 25, "bits_s": 0.0, "bits_once_s": 0.0,
        "weights_s": 1.0, "once_s": 5.0,
        "learned": [{"knob": "steps", "takes": "batch", "s": 5.0}],
        "forward_s": 0.01, "held_mb": 1.0, "start_mb": 100.0, "memory_mb": 48.0, "load_s": 4.0,
        "test_images": 1000, "busy": 1.0,
    },
}  # fmt: skip


WHOLE: dict[str, Any] = {"agreement": None, "layers": [], "size_bytes": {}}  # what every result has


def recipe(images: int = 100, **more: Any) -> Recipe:
    budget: dict[str, Any] = {
        "synthesis_settings": {"steps": 10, "batch": 40},
        "quantization_settings": {"steps": 50, "batch": 16},
    }
    return Recipe(
        model="toy", synthesis="genie", quantization="genie-m", images=images, **budget | more
    )


def test_seconds_by_measured_steps_are_those_worked_out_by_hand() -> None:
    seconds = seconds_by_pace(recipe(), PACE)
    # batches of 40, 40 and 20; ten steps each of 0.5 s and 0.01 s an image
    assert seconds["synthesis"] == pytest.approx(10 * (3 * 0.5 + 0.01 * 100))
    # ranges of weights 1 s; the other 4 s were for 16 images, and are taken on 64; 5 s were for half the
    # steps at half the batch; each image passes both networks once
    assert seconds["quantization"] == pytest.approx(1 + 4 * 64 / 16 + 5 * 2 * 2 + 100 * 0.01)
    assert seconds["evaluation"] == pytest.approx(1000 * 0.01)


def test_method_that_trains_once_is_counted_once() -> None:
    once = PACE | {"synthesis": PACE["synthesis"] | {"planned": [18, 0]}}  # two parts of nine each
    seconds = seconds_by_pace(recipe(), once)
    assert seconds["synthesis"] == pytest.approx(20 * (0.5 + 0.01 * 40))


def learned_seconds(**changed: Any) -> float:
    """What is asked of `recipe()` beyond its ranges and walks: 50 steps of 16 of its 100 images."""
    pace = PACE | {"quantization": PACE["quantization"] | {"learned": []} | changed}
    bare = PACE | {"quantization": PACE["quantization"] | {"learned": []}}
    return (
        seconds_by_pace(recipe(), pace)["quantization"]
        - seconds_by_pace(recipe(), bare)["quantization"]
    )


def test_each_kind_of_steps_grows_with_what_it_takes() -> None:
    def of(knob: str, takes: str) -> float:
        return learned_seconds(learned=[{"knob": knob, "takes": takes, "s": 5.0}])

    assert of("activation_steps", "batch") == pytest.approx(5 * 2)  # the batch; not with `steps`
    assert of("correction_steps", "images") == pytest.approx(5 * 100 / 16)
    assert of("steps", "images") == pytest.approx(5 * 2 * 100 / 16)
    assert of("steps", "share") == pytest.approx(5 * 100 / 16)  # finer shares of the same work


def test_a_presets_own_steps_are_no_multiple_of_what_was_asked() -> None:
    """0 steps stand for a preset's: what was measured is for as many as that, however many they are."""
    same = [{"knob": "steps", "takes": "batch", "s": 5.0}]
    assert learned_seconds(learned=same, asked=0) == pytest.approx(5 * 2)


def test_measuring_for_bits_grows_with_the_images_it_looks_at() -> None:
    assert learned_seconds(bits_s=3.0) == pytest.approx(3 * 100 / 16)
    pace = PACE | {"quantization": PACE["quantization"] | {"bits_s": 3.0}}
    few = {"steps": 50, "batch": 16, "images": 32}
    seconds = [
        seconds_by_pace(recipe(quantization_settings=few), known)["quantization"]
        for known in (pace, PACE)
    ]
    assert seconds[0] - seconds[1] == pytest.approx(3 * 32 / 16)


def test_timing_the_kernels_takes_as_long_whatever_the_images() -> None:
    assert learned_seconds(bits_once_s=3.0) == pytest.approx(3)


def test_kernels_are_timed_once_and_apart_from_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that only they move: 100 s in all, none of which is of the steps or of the rest."""
    now = [0.0]

    def slow(_: Any, paths: list[str], image: Any) -> dict[str, KernelTimes]:
        now[0] += 100.0
        return dict.fromkeys(paths, KernelTimes(0.1, 0.2))

    monkeypatch.setattr(bit_allocation, "measure_kernels", slow)
    monkeypatch.setattr(pace.time, "thread_time", lambda: now[0])
    measured = measure(
        tiny(tmp_path, quantization="mixed", quantization_settings={"budget": "latency"}),
        "quantization",
    )
    assert measured["bits_once_s"] == 100.0
    assert measured["bits_s"] == measured["once_s"] == 0.0
    assert measured["learned"] == []


def test_solving_is_counted_once_and_its_looks_grow_with_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that only they move: 100 s to decide, and 7 s for what is looked at of the choice."""
    now = [0.0]
    real, told = BitAllocation.decide, AllocationReport.report

    def decide(self: Any) -> Any:
        now[0] += 100.0
        return real(self)

    def report(self: Any, *given: Any, **named: Any) -> Any:
        now[0] += 7.0
        return told(self, *given, **named)

    monkeypatch.setattr(BitAllocation, "decide", decide)
    monkeypatch.setattr(AllocationReport, "report", report)
    monkeypatch.setattr(pace.time, "thread_time", lambda: now[0])
    for sensitivity in ("kl", "hessian"):
        asked = {"sensitivity": sensitivity}
        measured = measure(
            tiny(tmp_path, quantization="mixed", quantization_settings=asked), "quantization"
        )
        assert measured["bits_once_s"] == 100.0
        assert measured["bits_s"] == 7.0
        assert measured["once_s"] == 0.0


def test_memory_by_measured_steps_is_the_larger_stage() -> None:
    start, more = 100, 380 - 100  # torch and the network; the synthesis of 40 images beyond these
    assert memory_by_pace(recipe(), PACE) == pytest.approx(start + estimates.HEAP * more)
    large = recipe(synthesis_settings={"steps": 10, "batch": 400})
    assert memory_by_pace(large, PACE) == pytest.approx(start + estimates.HEAP * (500 - start))
    # 400 images are held, and 32 of them walk through a network together
    many = recipe(400, synthesis_settings={"steps": 10, "batch": 4})
    assert memory_by_pace(many, PACE) == pytest.approx(start + estimates.HEAP * (400 + 2 * 32))


def test_what_a_stage_held_at_most_is_counted_and_not_what_is_left_of_it() -> None:
    forget_peak()
    before = peak_memory_mb()
    held = torch.ones(50_000_000)  # 200 MB
    del held
    assert peak_memory_mb() > before + 150
    forget_peak()
    if Path("/proc/self/clear_refs").exists():
        assert peak_memory_mb() < before + 100


def test_estimate_says_where_it_is_from_and_how_far_off_it_may_be(tmp_path: Path) -> None:
    known = estimate(recipe(), tmp_path, PACE)
    low, likely, high = known["total_s"]
    assert likely == pytest.approx(4 + sum(seconds_by_pace(recipe(), PACE).values()), abs=0.1)
    assert (low, high) == (
        pytest.approx(likely / 2, abs=0.1),
        pytest.approx(likely * 2, abs=0.1),
    )
    assert "few steps" in known["source"]


def test_nothing_is_claimed_of_a_network_that_was_never_seen(tmp_path: Path) -> None:
    known = estimate(recipe(), tmp_path, None)
    assert known["total_s"] is None
    assert known["memory_mb"] is None


def finished(runs: Path, made: Recipe, seconds: float, memory_mb: float = 900.0) -> RunFolder:
    folder = RunFolder.create(runs, made)
    values = {"memory_mb": memory_mb}
    folder.append(Stepped(stage="synthesis", part="batch 1", step=1, losses={}, values=values))
    stages = ("synthesis", "quantization", "evaluation")
    folder.finish(WHOLE | {"seconds": dict.fromkeys(stages, seconds), "peak_memory_mb": 500.0})
    return folder


def test_finished_runs_come_first_scaled_by_their_budget(tmp_path: Path) -> None:
    finished(tmp_path, recipe(), 30.0)
    same = estimate(recipe(seed=1), tmp_path, PACE)
    assert same["seconds"] == {"synthesis": 30.0, "quantization": 30.0, "evaluation": 30.0}
    assert same["factor"] == estimates.RUN_FACTOR
    assert (
        same["memory_mb"][1] == 900.0
    )  # images of another run count: its peak was in their making
    double = estimate(recipe(synthesis_settings={"steps": 20, "batch": 40}), tmp_path, None)
    assert double["seconds"] == {"synthesis": 60.0, "quantization": 30.0, "evaluation": 30.0}


def test_the_run_of_the_nearest_budget_counts_and_other_settings_do_not(tmp_path: Path) -> None:
    finished(tmp_path, recipe(synthesis_settings={"steps": 1000, "batch": 40}), 1.0)
    finished(tmp_path, recipe(), 30.0)
    other = recipe(synthesis_settings={"steps": 10, "batch": 40, "swing": False})
    finished(tmp_path, other, 77.0)
    known = estimate(recipe(seed=3), tmp_path, None)
    assert known["seconds"]["synthesis"] == 30.0


def told_rate(runs: Path, made: Recipe, seconds: float, rates: dict[str, float]) -> RunFolder:
    """A finished run that has told how many steps of its images it took a second, by batch."""
    folder = finished(runs, made, seconds)
    for part, rate in rates.items():
        values = {"steps_per_s": rate}
        folder.append(Stepped(stage="synthesis", part=part, step=9, losses={}, values=values))
    return folder


def steps(count: int, batch: int = 50) -> dict[str, Any]:
    return {"synthesis_settings": {"steps": count, "batch": batch}}


def test_what_a_run_took_once_is_not_taken_for_every_step(tmp_path: Path) -> None:
    """By hand: two batches of 10 steps at 4 a second, 5 s of 30; 25 s whatever the steps."""
    told_rate(tmp_path, recipe(**steps(10)), 30.0, {"batch 1": 4.0, "batch 2": 4.0})
    many = estimate(recipe(**steps(1000)), tmp_path, None)
    assert many["seconds"]["synthesis"] == pytest.approx(25 + 2 * 1000 / 4)


def test_a_tiny_run_says_nothing_of_a_long_one(tmp_path: Path) -> None:
    """It would have been scaled 100 times, or its batch was another, and was called good to 1.5."""
    finished(tmp_path, recipe(**steps(10)), 30.0)
    assert estimate(recipe(**steps(1000)), tmp_path, None)["total_s"] is None
    measured = estimate(recipe(**steps(1000)), tmp_path, PACE)
    assert measured["seconds"]["synthesis"] == pytest.approx(
        seconds_by_pace(recipe(**steps(1000)), PACE)["synthesis"]
    )
    assert measured["factor"] >= estimates.PACE_FACTOR
    told_rate(tmp_path, recipe(seed=1, **steps(10)), 30.0, {"batch 1": 4.0})
    assert estimate(recipe(**steps(1000, batch=25)), tmp_path, None)["total_s"] is None


def test_the_band_holds_all_runs_of_its_kind(tmp_path: Path) -> None:
    """The steps that were measured promise some 70 s where runs took 300: it is no better than that."""
    assert "no run of this kind" in estimate(recipe(), tmp_path, PACE)["source"]
    for seed in range(3):
        finished(tmp_path, recipe(seed=seed, **steps(10, batch=40)), 100.0)
    promised = sum(seconds_by_pace(recipe(), PACE).values())
    far = recipe(synthesis_settings={"steps": 900, "batch": 40})
    known = estimate(far, tmp_path, PACE)
    assert known["factor"] == pytest.approx(300 / promised, abs=0.05)
    assert "held against 3 runs" in known["source"]
    low, likely, high = known["total_s"]
    assert (low, high) == (
        pytest.approx(likely / known["factor"], rel=0.01),
        pytest.approx(likely * known["factor"], rel=0.01),
    )


def test_images_that_were_taken_over_say_nothing_of_making_them(tmp_path: Path) -> None:
    folder = finished(tmp_path, recipe(), 30.0)
    folder.finish(WHOLE | {"seconds": {"synthesis": 0.0, "quantization": 30.0, "evaluation": 30.0}})
    assert estimate(recipe(seed=1), tmp_path, None)["total_s"] is None


def test_runs_of_other_networks_say_nothing(tmp_path: Path) -> None:
    finished(tmp_path, recipe(), 30.0)
    alien = Recipe(model="other", synthesis="genie", quantization="genie-m")
    assert estimate(alien, tmp_path, None)["total_s"] is None


def test_more_memory_than_there_is_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "free_memory_mb", lambda: 450.0)
    assert "smaller batch" in estimate(recipe(), tmp_path, PACE)["warning"]
    monkeypatch.setattr(estimates, "free_memory_mb", lambda: 50_000.0)
    assert estimate(recipe(), tmp_path, PACE)["warning"] == ""


METHODS = discover_methods()


def tiny(folder: Path, **more: Any) -> Recipe:
    """A network of a few thousand weights, from a file."""
    file = folder / "net.py"
    file.write_text(
        "from tests.contracts.nets import TinyResNet, ready\ndef tiny(): return ready(TinyResNet())\n"
    )
    return Recipe(
        model=f"{file}:tiny", synthesis="genie", images=16, model_settings={"image_shape": [3, 8, 8]}, **more
    )  # fmt: skip


BEHIND = [
    one["choices"] for one in describe(METHODS["mixed"].Settings) if one["name"] == "rounding"
]


@pytest.mark.parametrize(
    ("name", "own"),
    [*((name, {}) for name in METHODS), *(("mixed", {"rounding": name}) for name in BEHIND[0])],
)
def test_no_quantizer_takes_more_than_a_few_steps_to_be_measured(
    name: str, own: dict[str, Any]
) -> None:
    few = METHODS[name](METHODS[name].Settings(**own)).at_most(STEPS)
    for block in find_blocks(TinyResNet().eval(), (3, 8, 8)):
        stretches = few.stretches_of(block)
        assert all(one.steps <= STEPS for one in stretches)
        assert few.steps_of(block) <= 2 * STEPS * len(block.layers)


@pytest.mark.parametrize("name", METHODS)
def test_stretches_are_the_announced_steps(name: str) -> None:
    block = find_blocks(TinyResNet().eval(), (3, 8, 8))[1]
    method = METHODS[name](METHODS[name].Settings())
    stretches = method.stretches_of(block)
    assert sum(one.steps for one in stretches) == method.steps_of(block)
    knobs = {one["name"] for one in describe(METHODS[name].Settings)}
    assert {one.knob for one in stretches if one.steps} <= knobs | {"steps"}


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("brecq", [("steps", "batch"), ("activation_steps", "batch")]),
        ("pd-quant", [("correction_steps", "images"), ("steps", "batch")]),
        ("gpfq", [("steps", "share")]),
        ("hessian", [("steps", "share")]),
        ("gradient-l1", [("steps", "batch")]),
        ("mixed", []),
    ],
)
def test_kinds_of_steps_are_timed_apart(
    name: str, takes: list[tuple[str, str]], tmp_path: Path
) -> None:
    measured = measure(tiny(tmp_path, quantization=name), "quantization")
    assert [(one["knob"], one["takes"]) for one in measured["learned"]] == takes
    assert all(one["s"] > 0 for one in measured["learned"])
    assert (measured["bits_s"] > 0) == (name == "mixed")


def test_steps_told_are_all_of_the_recipe_from_the_mean_of_the_measured() -> None:
    """By hand: brecq in 40 + 20 steps, measured in 3 + 3; the first of each prepares and is left out."""
    blocks = find_blocks(TinyResNet().eval(), (3, 8, 8))[:1]
    brecq = METHODS["brecq"](METHODS["brecq"].Settings(steps=40, activation_steps=20))
    took = {blocks[0].name: [9.0, 1.0, 3.0, 7.0, 0.5, 0.5]}
    told, counted = extrapolated(blocks, brecq, brecq.at_most(3), took)
    assert [one["s"] for one in told] == [40 * 2.0, 20 * 0.5]
    assert counted == 1 + 3 + 0.5 + 0.5
    gpfq = METHODS["gpfq"](METHODS["gpfq"].Settings(steps=40))
    told, counted = extrapolated(blocks, gpfq, gpfq.at_most(3), {blocks[0].name: [9.0, 1.0, 3.0]})
    assert [one["s"] for one in told] == [13.0]  # the shares are all there is to do
    assert counted == 13.0


def test_steps_of_the_whole_network_count_as_those_of_a_block() -> None:
    method = METHODS["gradient-l1"](METHODS["gradient-l1"].Settings(steps=40))
    told, counted = extrapolated([], method, method.at_most(3), {"distillation": [9.0, 1.0, 3.0]})
    assert told == [{"knob": "steps", "takes": "batch", "s": 40 * 2.0}]
    assert counted == 13.0


def test_seconds_are_those_of_this_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others beside it, on cores of their own or in its place on a busy one, make a step no longer."""
    own = iter([0.0, 3.0, 10.0, 12.0])
    monkeypatch.setattr(pace.time, "thread_time", lambda: next(own))
    monkeypatch.setattr(pace.time, "process_time", lambda: pytest.fail("of all threads"))
    assert pace._timed(lambda: None) == 2.0


@pytest.mark.parametrize("part", ["synthesis", "quantization"])
def test_steps_of_a_real_network_are_measured(tmp_path: Path, part: str) -> None:
    small = tiny(
        tmp_path, quantization="genie-m", synthesis_settings={"steps": 9, "batch": 8},
        quantization_settings={"steps": 20, "batch": 4},
    )  # fmt: skip
    measured = measure(small, part)
    assert measured["busy"] >= 1.0
    if part == "synthesis":
        assert measured["planned"] == [9, 9]
        assert sum(measured["step_s"]) > 0
    else:
        assert measured["blocks"] == 4
        assert [(one["knob"], one["takes"]) for one in measured["learned"]] == [("steps", "batch")]
        assert measured["learned"][0]["s"] > 0
        assert measured["held_mb"] == pytest.approx(4 * 8 * 4 * 8 * 8 / 1e6, rel=0.5)
