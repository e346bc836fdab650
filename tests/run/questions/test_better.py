"""Two finished runs side by side: by images, by pairs of images, and when nothing can be said."""

import json
import math
from dataclasses import replace

import pytest
import torch

from engine.__main__ import main
from engine.analysis.answers.accuracy import embedding_cosines, wilson
from engine.analysis.answers.verification import judged_rightly, pairs_of, verify
from engine.core.paired import packed
from engine.run.questions.better import better, judged, paired_between
from tests.run.toy_runs import RECIPE, begun


def embedded(right, test_set="t"):
    """A result of an embedding that has these pairs right, as a judgement writes it."""
    wrong = right.count(False)
    share = wrong / len(right)
    found = {"pairs": len(right), "error": {"quantized": share}, "right": packed(right),
             "band": {"quantized": list(wilson(wrong, len(right)))}}  # fmt: skip
    return {"test_images": 2 * len(right), "test_set": test_set, "verification": found}


ITS = [True] * 160 + [False] * 40
MINE = [True] * 175 + [False] * 25  # all that the other has right, and 15 more


def test_embeddings_are_told_apart_pair_by_pair_where_their_bands_overlap():
    mine, its = embedded(MINE), embedded(ITS)
    found = better(mine, its, ("B", "A"))
    assert judged(mine).band[0] < judged(its).band[1]  # by their own bands nothing could be said
    assert found["by"] == "verification"
    assert found["points"] == pytest.approx(7.5)
    # Agresti and Min by hand: 15 and 0, each with a half, of 202.
    centre = (15.5 - 0.5) / 202
    half = 1.959964 * math.sqrt(16 - 15**2 / 202) / 202
    assert found["paired"]["band"] == pytest.approx([centre - half, centre + half])
    assert (found["paired"]["lost"], found["paired"]["won"], found["sure"]) == (15, 0, True)
    assert found["sentence"].startswith("**B is 7.50 points better than A** (pair by pair +")
    assert "15 pairs right that A has wrong, 0 the other way round" in found["sentence"]
    turned = better(its, mine, ("A", "B"))
    assert turned["points"] == pytest.approx(-7.5)
    assert turned["paired"]["band"] == pytest.approx(
        [-end for end in found["paired"]["band"][::-1]]
    )
    assert "worse than B" in turned["sentence"]


def test_a_change_that_goes_both_ways_is_not_distinguishable():
    mine = [True] * 150 + [False] * 10 + [True] * 12 + [False] * 28
    found = better(embedded(mine), embedded(ITS))
    assert (found["paired"]["lost"], found["paired"]["won"]) == (12, 10)
    assert not found["sure"]
    assert "not distinguishable" in found["sentence"]


def test_other_test_images_older_results_and_other_outputs_are_told():
    mine, its = embedded(MINE), embedded(ITS, test_set="u")
    found = better(mine, its)
    assert found["paired"] is None
    assert not found["sure"]
    assert "other test images" in found["sentence"]
    older = embedded(ITS)
    del older["verification"]["right"]  # as runs of before have it
    assert paired_between(mine, older) is None
    assert "95\u00a0% bands overlap" in better(mine, older)["sentence"]
    classes = {"quantized_top1": 0.8, "top1_band": {"quantized": [0.7, 0.9]}, "test_images": 400,
               "test_set": "t", "right": packed([True] * 320 + [False] * 80)}  # fmt: skip
    assert better(mine, classes)["by"] is None
    assert better({"test_images": 3}, {})["by"] is None
    assert paired_between(mine, classes) is None


def test_the_pairs_that_a_result_keeps_are_those_that_two_students_are_compared_by():
    """Naively: both judged on the same pairs, one by one."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat(60)
    teacher = torch.eye(4)[labels] + 0.3 * torch.randn(240, 4, generator=rng)
    students = [teacher + noise * torch.randn(240, 4, generator=rng) for noise in (0.2, 1.0)]
    kept = [
        {"test_images": 240, "test_set": "t", "verification": verify(labels, teacher, one)}
        for one in students
    ]
    pairs = pairs_of(labels)
    right = [
        judged_rightly(embedding_cosines(one[pairs.first], one[pairs.second]), pairs.same).tolist()
        for one in students
    ]
    lost = sum(a and not b for a, b in zip(*right, strict=True))
    won = sum(b and not a for a, b in zip(*right, strict=True))
    found = paired_between(*kept)
    assert (found.lost, found.won) == (lost, won)
    assert lost > 0
    assert won > 0
    assert found.share == pytest.approx(
        kept[1]["verification"]["error"]["quantized"]
        - kept[0]["verification"]["error"]["quantized"]
    )


def test_the_command_tells_of_two_runs_and_refuses_what_cannot_be_compared(tmp_path, capsys):
    folders = [begun(tmp_path, replace(RECIPE, seed=seed)) for seed in range(4)]
    for folder, result in zip(
        folders, (embedded(MINE), embedded(ITS), {"test_images": 9}), strict=False
    ):
        folder.finish(result | {"seconds": {}, "size_bytes": {}, "layers": [], "agreement": None})
    one, other, without, unfinished = (folder.run_id for folder in folders)
    end = ["--runs", str(tmp_path)]
    assert main(["compare", one, other, "--json", *end]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["run"], told["other"], told["by"], told["sure"]) == (
        one,
        other,
        "verification",
        True,
    )
    assert told["paired"]["lost"] == 15
    assert main(["compare", one, other, *end]) == 0
    assert f"{one} is 7.50 points better than {other} (pair by pair" in capsys.readouterr().out
    assert main(["compare", one, without, *end]) == 2
    assert "the same --data with labels" in capsys.readouterr().err
    assert main(["compare", one, unfinished, *end]) == 2
    assert f"engine resume {unfinished}" in capsys.readouterr().err
