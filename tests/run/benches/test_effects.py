"""The claims of the synthesis methods: how seeds are counted, what a file must hold, and a tiny bench."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from engine.__main__ import main
from engine.core.errors import UserError
from engine.models.architectures.resnet import SmallResNet
from engine.models.card import ASSETS
from engine.run.benches.effects.images import cifar as cifar10
from engine.run.benches.effects.images.claims import CIFAR, CLAIMS, ON_CIFAR, RESNET, VGG
from engine.run.benches.effects.images.measure import Budget, Workbench, budget_of, effects
from engine.run.benches.effects.images.measures import METRICS, Made, Subject
from engine.run.benches.effects.verdicts import (
    CIFAR_FILE,
    FILE,
    newest,
    read,
    rows_of,
    seeds_of,
    summary,
    verdict,
    verdict_of,
)
from tests.contracts.nets import TinyResNet, images, ready

SIDES = ("method", "baseline", "noise", "real")


class TestVerdict:
    def test_pairs_are_counted_seed_by_seed(self):
        judged = verdict([1.0, 5.0, 2.0], [2.0, 4.0, 6.0], lower=True)
        assert judged.differences == (-1.0, 1.0, -4.0)
        assert judged.held == (True, False, True)
        assert not judged.always
        assert judged.words == "held in 2 of 3 seeds"
        assert judged.mean == pytest.approx(-4 / 3)
        assert judged.spread == pytest.approx(
            math.sqrt(((1 / 3) ** 2 + (7 / 3) ** 2 + (8 / 3) ** 2) / 2)
        )

    def test_the_same_numbers_the_other_way_round(self):
        assert verdict([1.0, 5.0, 2.0], [2.0, 4.0, 6.0], lower=False).held == (False, True, False)

    def test_a_mean_on_the_claimed_side_is_not_enough(self):
        judged = verdict([1.0, 1.0, 1.0], [100.0, 0.5, 0.5], lower=True)
        assert judged.mean is not None
        assert judged.mean < 0
        assert not judged.always

    def test_a_tie_and_an_unknown_number_do_not_hold(self):
        judged = verdict([1.0, None, 1.0], [1.0, 2.0, None], lower=True)
        assert judged.held == (False, False, False)
        assert judged.words == "did not hold"
        assert judged.differences == (0.0, None, None)
        assert judged.spread is None

    def test_no_seeds_hold_nothing(self):
        assert not verdict([], [], lower=True).always

    def test_summary_has_the_sample_deviation(self):
        assert summary([1.0, 3.0, None]) == f"2 ± {math.sqrt(2):.2g}"
        assert summary([2.0]) == "2"
        assert summary([None]) == "–"


@pytest.mark.parametrize("text", ["", "0,0", "1.5", "-1", "a", "0,,1"])
def test_strange_seeds_are_refused(text):
    with pytest.raises(UserError, match="--seeds"):
        seeds_of(text)


def test_seeds_are_numbers_with_commas():
    assert seeds_of("0, 4,2") == (0, 4, 2)


@pytest.mark.parametrize("words", [["--seeds", "0,0"], ["--images", "3"]])
def test_the_command_line_explains_a_mistake_in_one_line(words, tmp_path, capsys):
    assert main(["bench", "effects", "--runs", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(("name", "value"), [("images", 3), ("steps", 0), ("generator_steps", -1)])
def test_a_budget_too_small_is_refused(name, value):
    with pytest.raises(UserError, match=name.replace("_", "-")):
        budget_of({name: value})


# --- the measurement on toys --------------------------------------------------------------------


class Plain(nn.Module):
    """Four layers without BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def subject(net: nn.Module) -> Subject:
    def labelled(count: int, seed: int):
        return images(count, seed=seed), torch.arange(count) % 3

    return Subject(
        teacher=ready(net), image_shape=(3, 8, 8), mean=(0.5,) * 3, std=(0.25,) * 3, classes=3,
        real=labelled(24, 1), held=labelled(18, 5), other=ready(TinyResNet(), seed=7),
    )  # fmt: skip


TINY = Budget(images=8, steps=2, generator_steps=2, generator_batch=6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory):
    """Every claim on toys, two seeds, and the file of it."""
    out = tmp_path_factory.mktemp("out") / FILE
    said: list[str] = []
    subjects = {RESNET: subject(TinyResNet()), VGG: subject(Plain())}
    result = effects((0, 3), out=out, budget=TINY, subjects=subjects, tell=said.append)
    return result, out, said


def test_every_claim_yields_numbers_for_every_seed(tiny):
    result, _, said = tiny
    assert [row["name"] for row in result["claims"]] == [claim.name for claim in CLAIMS]
    for row in result["claims"]:
        for side in SIDES:
            values = row["values"][side]
            assert len(values) == 2, row["name"]
            assert all(v is not None and math.isfinite(v) for v in values), (row["name"], side)
    assert len(said) == len(CLAIMS)


def test_the_command_repeats_the_seeds_and_the_budget(tiny):
    assert "effects --seeds 0,3 --images 8 --steps 2 --generator-steps 2" in tiny[0]["command"]


NOT_MEASURED = {  # since they were given a fair control; the page lists them
    FILE: set(),
    CIFAR_FILE: set(),
}


@pytest.mark.parametrize(("file", "claims"), [(FILE, CLAIMS), (CIFAR_FILE, ON_CIFAR)])
def test_a_shipped_file_is_whole_and_of_just_the_claims_that_there_are(file, claims):
    """What is not measured yet, the page lists as missing."""
    shipped = read(ASSETS, file)
    assert shipped is not None
    known = {claim.name: claim for claim in claims}
    names = [row["name"] for row in shipped["claims"]]
    assert names == [name for name in known if name in names]
    assert {*known} - {*names} == NOT_MEASURED[file]
    for row in shipped["claims"]:
        assert known[row["name"]].compared().items() <= row.items(), row["name"]


@pytest.mark.parametrize(
    ("file", "claim"),
    [
        (FILE, "dsg-pixels"),
        (FILE, "gzsq-bits"),
        (FILE, "aac-peaks"),
        (CIFAR_FILE, "dsg-pixels"),
    ],
)
def test_what_was_found_sure_holds_in_every_seed_of_the_shipped_file(file, claim):
    """The rest of the asserted ones does not hold everywhere: the page and the README say so."""
    shipped = json.loads((ASSETS / file).read_text())
    row = next(row for row in shipped["claims"] if row["name"] == claim)
    assert row["asserted"]
    assert len(row["values"]["method"]) == 3
    assert verdict_of(row).always


def test_the_file_is_the_result_and_reads_back(tiny):
    result, out, _ = tiny
    assert json.loads(out.read_text()) == json.loads(json.dumps(result))
    back = read(out.parent)
    assert back == json.loads(out.read_text())
    assert len(rows_of(result)) == len(CLAIMS) + 1


def test_the_same_seed_gives_the_same_numbers(tiny):
    result, _, _ = tiny
    bench = Workbench(subject(TinyResNet()), TINY)
    row = next(row for row in result["claims"] if row["name"] == "intraq-class")
    again = [bench.value("intraq", "other_within_class", seed) for seed in (0, 3)]
    assert again == pytest.approx(row["values"]["method"], rel=1e-5)
    assert again[0] != again[1]


def test_images_that_are_the_held_out_ones_have_no_gap_and_no_peak_error():
    one = subject(TinyResNet())
    made = Made(*one.held)
    gap = METRICS["other_class_gap"](one, made)["other_class_gap"]
    assert gap == pytest.approx(0, abs=1e-9)
    assert METRICS["peak_error"](one, made)["peak_error"] == pytest.approx(0, abs=1e-6)


def test_peak_error_of_images_twice_as_strong():
    one = subject(
        nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    )
    made = Made(2 * one.held[0], None)
    assert METRICS["peak_error"](one, made)["peak_error"] == pytest.approx(math.log(2), rel=1e-5)


def test_a_teacher_of_nearly_full_precision_does_not_diverge_by_more_with_fewer_bits():
    one = subject(Plain())
    made = Made(one.real[0], None)
    few, fewer = (METRICS[name](one, made)[name] for name in ("kl_w4a4", "kl_w4a3"))
    assert few is not None
    assert fewer is not None
    assert 0 < few < fewer


# --- another network, from a folder -------------------------------------------------------------


@pytest.fixture
def cifar(tmp_path):
    """A folder as the benchmark wants it: a checkpoint, two pictures of four images each, labels."""
    tensors = SmallResNet(20, 3, 10, "A").state_dict()
    state = {f"module.{key.replace('fc.', 'linear.')}": value for key, value in tensors.items()}
    torch.save({"state_dict": state}, tmp_path / cifar10.CHECKPOINT)
    deeper = SmallResNet(56, 3, 10, "A").state_dict()
    torch.save(
        {key.replace("fc.", "linear."): v for key, v in deeper.items()}, tmp_path / cifar10.OTHER
    )
    rng = np.random.default_rng(0)
    for name in (cifar10.TEST, cifar10.TRAIN):
        pixels = rng.integers(0, 256, (4, 32 * 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    labels = {cifar10.TEST: [3, 1, 4, 1], cifar10.TRAIN: [5, 9, 2, 6], "more": []}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return tmp_path


def test_a_folder_s_network_and_images_are_read_row_by_row(cifar):
    one = cifar10.cifar_subject(cifar)
    assert one.held[1].tolist() == [3, 1, 4, 1]
    assert one.real[1].tolist() == [5, 9, 2, 6]
    row = np.asarray(Image.open(cifar / cifar10.TEST))[2]  # the third image: rows of 32 pixels
    value = (row[32 * 5 + 7, 1] / 255 - 0.456) / 0.224
    assert one.held[0][2, 1, 5, 7].item() == pytest.approx(value, rel=1e-5)
    assert one.teacher(one.held[0]).shape == one.other(one.held[0]).shape == (4, 10)


@pytest.mark.parametrize("name", [cifar10.CHECKPOINT, cifar10.OTHER, cifar10.TRAIN, "labels.json"])
def test_what_a_folder_lacks_is_named_in_one_line(cifar, name, tmp_path, capsys):
    (cifar / name).unlink()
    assert main(["bench", "effects", "--runs", str(tmp_path), "--data", str(cifar)]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert said.count("\n") == 1


def test_claims_of_the_other_network_are_measured_and_kept_in_a_file_of_their_own(tmp_path):
    assert {claim.name for claim in ON_CIFAR} < {claim.name for claim in CLAIMS}
    subjects = {CIFAR: subject(TinyResNet())}
    out = tmp_path / CIFAR_FILE
    effects((0,), out=out, budget=TINY, subjects=subjects, claims=ON_CIFAR)
    found = newest((tmp_path,), CIFAR_FILE)
    assert found is not None
    assert newest((tmp_path,)) is None
    assert [row["network"] for row in found["claims"]] == [CIFAR] * len(ON_CIFAR)
    assert found["command"].endswith("--data CIFAR10")


def test_single_claims_are_measured_anew_and_others_kept_with_their_date(tiny, tmp_path):
    result = json.loads(tiny[1].read_text())
    rows = [row | {"date": "2020-01-01 00:00"} for row in result["claims"]]
    rows[0] = rows[0] | {"values": {side: [9.0, 9.0] for side in SIDES}}
    file = written(tmp_path / "old", result, claims=rows) / FILE
    subjects = {RESNET: subject(TinyResNet()), VGG: subject(Plain())}
    again = effects((0, 3), out=file, budget=TINY, subjects=subjects, only=[CLAIMS[0].name])
    assert again["claims"][0]["values"]["method"] == pytest.approx(
        result["claims"][0]["values"]["method"]
    )
    assert again["claims"][0]["date"] > "2020-01-01 00:00"
    assert again["claims"][1:] == rows[1:]
    with pytest.raises(UserError, match="other seeds"):
        effects((0, 4), out=file, budget=TINY, subjects=subjects, only=[CLAIMS[0].name])
    with pytest.raises(UserError, match="'nonsense' is no claim"):
        effects((0, 3), out=file, budget=TINY, subjects=subjects, only=["nonsense"])


# --- files --------------------------------------------------------------------------------------


def written(folder: Path, result: dict, **changes: object) -> Path:
    folder.mkdir()
    (folder / FILE).write_text(json.dumps(result | changes))
    return folder


def test_the_newer_file_is_taken_wherever_it_lies(tiny, tmp_path):
    result, _, _ = tiny
    old = written(tmp_path / "old", result, date="2026-01-01 00:00")
    new = written(tmp_path / "new", result, date="2026-01-02 00:00")
    for folders in ((old, new), (new, old)):
        found = newest((tmp_path / "nothing", *folders))
        assert found is not None
        assert found["date"] == "2026-01-02 00:00"
    assert newest((tmp_path / "nothing",)) is None


def test_known_claims_have_todays_words_and_the_files_numbers(tiny, tmp_path):
    rows = [row | {"says": "Old words."} for row in tiny[0]["claims"]]
    strange = rows[0] | {"name": "of another version"}
    found = read(written(tmp_path / "old", tiny[0], claims=[*rows, strange]))
    assert found is not None
    assert found["claims"][0]["says"] == CLAIMS[0].says
    assert found["claims"][0]["values"] == rows[0]["values"]
    assert found["claims"][-1]["says"] == "Old words."


@pytest.mark.parametrize(
    "was",
    [
        {"baseline": "zeroq"},
        {"metric": "gap"},
        {"lower": False},
        {"settings": {"method": {}, "baseline": {"slack": 0.0}}},
    ],
)
def test_numbers_of_another_comparison_keep_the_words_they_came_with(tiny, tmp_path, was):
    rows = [tiny[0]["claims"][0] | {"says": "Old words."} | was]
    found = read(written(tmp_path / "old", tiny[0], claims=rows))
    assert found is not None
    assert found["claims"][0]["says"] == "Old words."


@pytest.mark.parametrize(
    "changes", [{"claims": [{"name": "x"}]}, {"claims": 3}, {"seeds": [0]}, {"seeds": None}]
)
def test_a_broken_file_is_none(tiny, tmp_path, changes):
    assert read(written(tmp_path / "broken", tiny[0], **changes)) is None
    (tmp_path / "broken" / FILE).write_text("{")
    assert read(tmp_path / "broken") is None
