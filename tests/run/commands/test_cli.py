"""The command line's words, statuses and streams; the runs themselves are played by the test."""

import io
import json

import pytest

from engine.__main__ import main
from engine.core.events import (
    BlockStarted,
    Noted,
    RunFailed,
    StageFinished,
    StageStarted,
    Stepped,
)
from engine.run import catalog as catalog_module
from engine.run.commands.printed import progress as cli
from engine.run.commands.printed import tables
from engine.run.folders import tail
from engine.run.folders.folder import RunFolder
from engine.run.workers import launch
from tests.toys import catalog

NAMES = ["--model", "toy", "--synthesis", "dream", "--quantization", "nearest"]
RESULT = {
    "run": "r", "folder": "/r", "model": "toy", "synthesis": "dream", "quantization": "nearest",
    "weight_bits": 4, "activation_bits": 4, "seed": 0, "fp32_top1": 0.9123, "quantized_top1": None,
    "agreement": 0.5, "test_images": 8, "test_set": "toys", "bn_gap": {"first": 1, "last": 0.1},
    "layers": [], "size_bytes": {"fp32": 4000, "quantized": 600},
    "seconds": {"synthesis": 1.0, "quantization": 75.0, "evaluation": 0.1},
    "top1_band": {"fp32": [0.9, 0.92], "quantized": None},
}  # fmt: skip


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """A function that runs a command line against the toys' catalog: (status, stdout, stderr)."""
    monkeypatch.setattr(catalog_module, "load", lambda runs: catalog())
    monkeypatch.setattr(tail, "LOOK_EVERY_S", 0.001)

    def run(*arguments):
        status = main([*arguments, "--runs", str(tmp_path / "runs")])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def worker(monkeypatch):
    """What the next started worker does: a list of events or functions of its folder."""
    script = []

    def start(recipe, runs):
        folder = RunFolder.create(runs, recipe)
        for act in script:
            act(folder) if callable(act) else folder.append(act)
        return folder

    monkeypatch.setattr(launch, "start", start)
    return script


def ends(state):
    return lambda folder: folder.write_status(state)


def finishes(folder):
    folder.finish(RESULT)
    folder.write_status("done")


def test_a_person_reads_what_a_result_says_and_no_more():
    older = tables.result_table(RESULT)
    assert "stored bits" not in older
    assert "KL of the logits" not in older
    newer = RESULT | {
        "stored_bits": {"codes": 4000, "grids": 640, "floats": 96}, "logit_kl": 0.0123,
        "bit_operations": {"fp32": 10_240_000, "quantized": 160_000},
    }  # fmt: skip
    told = tables.result_table(newer)
    assert "codes 4,000, grids 640, floats 96" in told
    assert "1.024e+07 -> 1.6e+05 an image" in told
    assert "0.0123 nats" in told


class TestMistakes:
    """Status 2, nothing on standard output, one line on standard error."""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["run"], "required: --model, --synthesis, --quantization"),
            (["fly"], "invalid choice: 'fly'"),
            (
                ["run", *NAMES, "--weight-bits", "many"],
                "argument --weight-bits: 'many' is no whole number; see",
            ),
            (["run", *NAMES, "--weight-bits", "1"], "weight bits is 1; choose 2 to 8"),
            (["run", *NAMES, "--model", "tyo"], "network 'tyo' is not known; choose one of toy"),
            (["run", *NAMES, "--preset", "fast"], "preset 'fast'"),
            (["run", *NAMES, "--set", "steps=5"], "--set 'steps=5' is not understood"),
            (["run", *NAMES, "--set", "synthesis.steps"], "write KIND.NAME=VALUE"),
            (["run", *NAMES, "--set", "run.steps=5"], "KIND one of model, synthesis, quantization"),
            (["run", *NAMES, "--set", "synthesis.steps=x"], "synthesis.steps is 'x'"),
            (["run", *NAMES, "--data", "/nowhere"], "data '/nowhere' is not a folder or zip"),
            (
                ["run", *NAMES, "--weights", "/nowhere"],
                "weights /nowhere cannot be read: No such file",
            ),
            (["run", *NAMES, "--model", "no.py:make"], "model 'no.py' is not a file"),
            (["run", *NAMES, "--sedd", "1"], "unrecognized arguments: --sedd"),
            (["run", *NAMES, "--see", "1"], "unrecognized arguments: --see"),
            (["resume", "nothing"], "run 'nothing' is not in"),
            (["cancel", "../x"], "'../x' is not the name of a run"),
        ],
    )
    def test_are_told_in_one_line(self, command, arguments, words):
        status, out, err = command(*arguments)
        assert status == 2
        assert out == ""
        assert words in err
        assert err.count("\n") == 1

    def test_an_empty_data_folder_is_found_before_anything_runs(self, command, worker, tmp_path):
        worker.append(lambda folder: pytest.fail("started"))
        (tmp_path / "empty").mkdir()
        status, _, err = command("run", *NAMES, "--data", str(tmp_path / "empty"))
        assert (status, err.count("\n")) == (2, 1)
        assert "holds no images" in err


class TestRun:
    def test_the_last_line_of_standard_output_is_the_result(self, command, worker):
        worker += [StageStarted(stage="synthesis", total_steps=2), finishes]
        status, out, err = command("run", *NAMES, "--json")
        assert status == 0
        assert json.loads(out.splitlines()[-1]) == RESULT
        assert "synthesis: 2 steps" in err

    def test_without_json_it_is_a_table(self, command, worker):
        worker.append(finishes)
        status, out, _ = command("run", *NAMES)
        assert status == 0
        assert "91.23\u00a0% (95 %: 90.00 to 92.00)" in out
        assert "not known: the images have no labels" in out
        assert "4,000 -> 600 bytes" in out
        assert "quantization 1 min 15 s" in out

    def test_every_option_is_in_the_recipe(self, command, worker, tmp_path, monkeypatch):
        seen = []
        worker += [lambda folder: seen.append(folder.recipe), finishes]
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "x.png").touch()
        (tmp_path / "w.pth").touch()
        monkeypatch.chdir(tmp_path)
        options = (
            "--weight-bits 2 --activation-bits 3 --preset quick --images 9 --seed 5 "
            "--edge-rule qdrop --data data --weights w.pth "
            "--set model.mean=.1 --set synthesis.steps=50 --set synthesis.rate=1e-2"
        )
        assert command("run", *NAMES, *options.split())[0] == 0
        recipe = seen[0]
        assert (recipe.weight_bits, recipe.activation_bits, recipe.preset) == (2, 3, "quick")
        assert (recipe.images, recipe.seed, recipe.edge_rule) == (9, 5, "qdrop")
        assert (recipe.data, recipe.weights) == (str(tmp_path / "data"), str(tmp_path / "w.pth"))
        assert recipe.model_settings == {"mean": [0.1]}
        assert recipe.synthesis_settings["steps"] == 50
        assert recipe.synthesis_settings["rate"] == 0.01

    def test_a_broken_run_is_status_1_with_message_and_advice(self, command, worker):
        worker += [RunFailed(message="it broke", advice="mend it"), ends("failed")]
        status, out, err = command("run", *NAMES, "--json")
        assert (status, out) == (1, "")
        assert err.splitlines()[-1] == "failed: it broke; mend it"

    def test_a_worker_that_ended_without_a_word(self, command, worker, monkeypatch):
        monkeypatch.setattr(tail, "LOST_FOR_S", 0.01)
        worker += [
            lambda folder: (folder.path / "worker.log").write_text("Traceback\nboom\n\n"),
            lambda folder: folder.write_status("running", time_s=0),
        ]
        status, _, err = command("run", *NAMES)
        assert status == 1
        assert err.splitlines()[-1].endswith("worker.log: boom")

    def test_a_run_cancelled_by_another_says_how_to_go_on(self, command, worker):
        worker.append(ends("cancelled"))
        status, _, err = command("run", *NAMES)
        assert status == 130
        assert "python -m engine resume toy_dream" in err

    def test_ctrl_c_cancels_the_worker(self, command, worker, monkeypatch):
        cancelled = []
        worker.append(ends("running"))
        monkeypatch.setattr(launch, "cancel", lambda folder: cancelled.append(folder.run_id))
        monkeypatch.setattr(cli, "show_all", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        status, out, _ = command("run", *NAMES, "--json")
        assert (status, out, len(cancelled)) == (130, "", 1)

    def test_events_of_an_earlier_try_are_not_shown_again(self, command, worker):
        worker += [Noted(message="first"), ends("failed")]
        command("run", *NAMES)
        worker[:] = [Noted(message="second"), finishes]
        status, _, err = command("run", *NAMES)
        assert status == 0
        assert "second" in err
        assert "first" not in err

    def test_a_finished_run_is_not_followed(self, command, worker):
        worker.append(finishes)
        command("run", *NAMES)
        worker[:] = [ends("running")]
        assert command("run", *NAMES)[0] == 0


class TestListings:
    def test_models_and_methods_have_exactly_the_stated_fields(self, command, monkeypatch):
        full = catalog()
        stated = {
            "title": "Toy", "dataset": "toys", "parameters": 3, "batchnorm_layers": 0,
            "image_shape": [1, 8, 8], "available": False, "reason": "lost", "extra": 1,
        }  # fmt: skip
        full["models"][0] |= stated
        for kind in ("synthesis", "quantization"):
            full[kind][0] |= {"title": "T", "paper": "P", "needs": ["batchnorm"], "url": "u"}
        monkeypatch.setattr(catalog_module, "load", lambda runs: full)
        status, out, _ = command("models", "--json")
        assert status == 0
        stated.pop("extra")
        assert json.loads(out) == [{"name": "toy"} | stated]
        methods = json.loads(command("methods", "--json")[1])
        assert methods["synthesis"] == [
            {"name": "dream", "title": "T", "paper": "P", "needs": ["batchnorm"]}
        ]
        assert set(methods) == {"synthesis", "quantization"}
        assert "lost" in command("models")[1]
        assert "dream" in command("methods")[1]

    def test_runs(self, command, worker):
        assert command("runs", "--json")[1] == "[]\n"
        assert command("runs")[1] == "none yet\n"
        worker.append(finishes)
        command("run", *NAMES, "--seed", "3")
        (row,) = json.loads(command("runs", "--json")[1])
        assert (row["state"], row["model"], row["seed"]) == ("done", "toy", 3)
        assert (row["fp32_top1"], row["quantized_top1"]) == (0.9123, None)
        assert row["run"] in command("runs")[1]

    def test_cancel_of_a_run_that_ended_changes_nothing(self, command, worker):
        worker.append(finishes)
        command("run", *NAMES)
        (row,) = json.loads(command("runs", "--json")[1])
        status, out, _ = command("cancel", row["run"], "--json")
        assert (status, json.loads(out)) == (0, {"run": row["run"], "state": "done"})

    def test_resume_of_a_finished_run_is_a_mistake(self, command, worker):
        worker.append(finishes)
        command("run", *NAMES)
        (row,) = json.loads(command("runs", "--json")[1])
        status, _, err = command("resume", row["run"])
        assert status == 2
        assert "is finished" in err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def step(n, **values):
    return Stepped(stage="synthesis", part="batch 1", step=n, losses={"image": 0.5}, values=values)


class TestProgress:
    def test_a_file_gets_a_line_at_most_every_two_seconds(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(cli.time, "monotonic", lambda: now[0])
        progress = cli.Progress(io.StringIO())
        progress.show(StageStarted(stage="synthesis", total_steps=100))
        for n in range(1, 51):
            progress.show(step(n, eta_s=90))
            now[0] += 0.125
        lines = progress.out.getvalue().splitlines()
        assert [line.split()[1] for line in lines[1:]] == ["1/100", "17/100", "33/100", "49/100"]
        assert lines[1] == "synthesis 1/100 batch 1 | image 0.5 | 1 min 30 s left"

    def test_a_stage_that_was_reused_is_said_to_be_and_counts_no_steps(self):
        progress = cli.Progress(io.StringIO())
        progress.show(StageStarted(stage="synthesis", total_steps=100, reused_from="first"))
        progress.show(step(50))
        values = {"reused_s": 248.0}
        progress.show(
            StageFinished(stage="synthesis", seconds=0, values=values, reused_from="first")
        )
        progress.show(StageStarted(stage="quantization", total_steps=3))
        assert progress.out.getvalue().splitlines() == [
            "synthesis: reused from run first, nothing is computed",
            "synthesis: reused; it took 4 min 8 s in run first",
            "quantization: 3 steps",
        ]

    def test_a_terminal_gets_a_bar_that_is_cleared_for_lines(self):
        progress = cli.Progress(Terminal())
        progress.show(StageStarted(stage="synthesis", total_steps=2))
        progress.show(step(1))
        progress.show(BlockStarted(block="fc", index=0, total_steps=1))
        progress.show(StageFinished(stage="synthesis", seconds=4))
        first, second, end = progress.out.getvalue().split("\n")
        assert first == "synthesis: 2 steps"
        bar, line = second.split("\r\033[K")
        assert bar == "synthesis [############............] 1/2 batch 1 | image 0.5"
        assert line == "synthesis: done in 4.0 s"
        assert end == ""

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"),
         (7805, "2 h 10 min")],
    )  # fmt: skip
    def test_durations(self, seconds, text):
        assert tables.duration(seconds) == text
