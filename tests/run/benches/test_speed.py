"""The benches of speed: taken in turn, held against plain versions that compute the same numbers."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from engine.core.sampling.randomness import stream
from engine.quantization.grids.learned_step import drop_mask
from engine.quantization.methods.genie_m import GenieM, GenieMSettings
from engine.quantization.reconstruction.block_reconstruction import BlockReconstruction
from engine.quantization.student import fit_block
from engine.run.benches.speed import interleaved as timing
from engine.run.benches.speed import memory, reconstruction, rows, synthesis
from engine.run.benches.speed.interleaved import Sample, compared, interleaved, ratio
from engine.run.benches.speed.plain.reconstruction import PlainReconstruction
from engine.run.commands import speed_benches
from engine.run.commands.printed.tables import markdown
from tests.contracts.nets import TinyResNet, quantizing, ready

SHAPE = (4, 3, 8, 8)
NORMALISED = ((0.5,) * 3, (0.5,) * 3)


# --- taken in turn ------------------------------------------------------------------------------


def test_works_are_taken_in_turn_and_warm_up_is_not_kept():
    done = []
    samples = interleaved(
        {"a": lambda: done.append("a"), "b": lambda: done.append("b")}, rounds=3, warm_up=2
    )
    assert done == ["a", "b"] * 5
    assert {name: len(kept) for name, kept in samples.items()} == {"a": 3, "b": 3}


def test_samples_tell_processor_and_clock_apart(monkeypatch):
    clock = SimpleNamespace(cpu=0.0, wall=0.0)
    monkeypatch.setattr(timing.time, "process_time", lambda: clock.cpu)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.wall)

    def work():
        clock.cpu += 2.0
        clock.wall += 3.0

    assert interleaved({"a": work}, rounds=1)["a"] == [Sample(2.0, 3.0)]


def test_a_ratio_is_of_the_rounds_and_not_of_the_medians():
    """A machine that turns ten times slower in the middle changes no round's ratio."""
    slow = [1, 1, 10, 10, 10]
    one = [Sample(2.0 * s, 3.0 * s) for s in slow]
    other = [Sample(1.0 * s, 1.0 * s) for s in slow]
    found = ratio(one, other)
    assert found == {
        "cpu": {"median": 2.0, "low": 2.0, "high": 2.0},
        "wall": {"median": 3.0, "low": 3.0, "high": 3.0},
    }


def test_a_ratio_tells_its_spread():
    one = [Sample(float(k), 1.0) for k in (1, 2, 3, 4, 5)]
    found = ratio(one, [Sample(1.0, 1.0)] * 5)["cpu"]
    assert found == {"median": 3.0, "low": 2.0, "high": 4.0}


# --- the same numbers ---------------------------------------------------------------------------


def close(a, b, within=2e-4):
    return a.keys() == b.keys() and all(
        float(a[name]) == pytest.approx(float(b[name]), rel=within) for name in a
    )


def test_the_plain_synthesis_computes_what_the_engine_does():
    steps = [
        synthesis.work_of(work, ready(TinyResNet()), SHAPE, NORMALISED)
        for work in (synthesis.FAST, synthesis.PLAIN)
    ]
    for _ in range(4):
        fast, plain = (step() for step in steps)
        assert close(fast, plain)
    assert float(fast["batchnorm"]) > 0


def test_the_plain_reconstruction_computes_what_the_engine_does():
    work = quantizing()
    block = work.blocks[1]  # a residual with a projection
    x = torch.randn(8, 4, 8, 8, generator=stream(0, "x")).relu()
    y = block.run(work.teacher, x)
    fit_block(work.student, block, x)
    settings = replace(GenieM(GenieMSettings(batch=4, warm_up=0.0)).core(), lr_rounding=1e-2)
    given = {"x_teacher": x, "x_student": 0.9 * x, "y_teacher": y, "settings": settings}
    rng = stream(0, "bench")
    plain = PlainReconstruction(
        work.student, block, **given, rng=rng,
        draw=lambda values, share: drop_mask(values, 1 - share, rng).bool(),
    )  # fmt: skip
    fast = BlockReconstruction(work.student, block, **given, rng=stream(0, "bench"))
    for _ in range(4):
        assert close(fast.step(), plain.step())


def test_the_bare_block_leaves_the_teacher_as_it_was():
    teacher = ready(TinyResNet())
    step = reconstruction.work_of(reconstruction.BARE, teacher, (3, 8, 8), GenieMSettings(batch=2))
    step()
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


# --- what is told -------------------------------------------------------------------------------


@pytest.fixture
def result():
    samples = {
        "step": [Sample(0.3, 0.4)] * 3, "bare pass": [Sample(0.1, 0.1)] * 3,
    }  # fmt: skip
    (row,) = compared(samples, [("step", "bare pass")])
    row |= {"network": "resnet20-fashion", "images": 128, "peak_mb": 700.0, "of_peak_mb": 500.0}
    told = {
        "date": "2026-11-27 01:00", "processor": "P", "cores": 2, "threads": 1, "load": 0.5,
    }  # fmt: skip
    return {"machine": told, "rows": [row]}


def test_a_missed_goal_is_said_beside_the_figure(result):
    (cells,) = rows.cells("synthesis", result)
    table = markdown([rows.HEAD, cells])
    assert "| 3.00 (3.00 to 3.00) | 4.00 (4.00 to 4.00) |" in table
    assert "300 ms cpu, 400 ms clock" in table
    assert "700 against 500" in table
    assert "1.5: missed" in table
    result["rows"][0]["cpu"]["median"] = 1.4
    assert "1.5: met" in markdown([rows.HEAD, *rows.cells("synthesis", result)])


def options(tmp_path, **more):
    usual = {
        "name": "synthesis", "runs": str(tmp_path), "out": None, "json": False, "markdown": False,
        "only": None, "rounds": None,
    }  # fmt: skip
    return SimpleNamespace(**usual | more)


def test_a_bench_prints_json_and_is_kept_for_the_table_of_all(
    tmp_path, result, monkeypatch, capsys
):
    without_goal = result["rows"][0] | {"work": "another step"}
    result["rows"].append(without_goal)
    monkeypatch.setitem(speed_benches.BENCHES, "synthesis", lambda _: result)
    assert speed_benches.speed_bench(options(tmp_path, json=True)) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed.keys() == {"machine", "rows", "command"}
    assert printed["rows"][0].keys() >= {
        "work",
        "over",
        "cpu",
        "wall",
        "cpu_s",
        "wall_s",
        "peak_mb",
    }
    speed_benches.speed_bench(options(tmp_path, name="speed", markdown=True))
    table = capsys.readouterr().out
    assert "| synthesis |" in table
    assert "another step" not in table
    assert "python -m engine bench synthesis" in table
    assert "0.5 processes at work" in table


def test_memory_is_measured_for_every_work_of_both_stages(monkeypatch):
    asked = []

    def peak_of(prepare, *given):
        asked.append((prepare.__module__.rpartition(".")[2], given[0]))
        return {"ready_mb": 1.0, "peak_mb": 2.0}

    monkeypatch.setattr(memory, "peak_of", peak_of)
    monkeypatch.setattr(synthesis, "has_bfloat16", lambda: False)
    found = memory.measured(("resnet20-fashion",), lambda _: None)
    assert asked == [
        *(("synthesis", work) for work in ("bare pass", "published loop", "step")),
        *(("reconstruction", work) for work in reconstruction.WORKS),
    ]
    assert all(row.keys() >= {"network", "work", "ready_mb", "peak_mb"} for row in found["rows"])


def test_the_lean_generator_is_timed_where_images_are_large():
    assert synthesis.LEAN in synthesis.works_for("efficientnet-lite0")
    assert synthesis.LEAN not in synthesis.works_for("resnet20-fashion")
