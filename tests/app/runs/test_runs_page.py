"""The page Runs: what differs, names and notes, finding, comparing and deleting several."""

import dataclasses
import json
from pathlib import Path

import pytest

from app.panels.compare.results import same_images, verdict
from app.panels.runs.find import matches
from app.run_files.run_notes import LONGEST_NOTE, Note, note_of, write_note
from app.wording.differences import Ran, changed, differences
from engine.core.errors import UserError
from engine.core.paired import packed
from engine.run.questions.better import paired_between
from engine.run.questions.compare import open_side
from engine.run.recipes.recipe import Recipe
from tests.app.fabricate import Fabricated, fabricate
from tests.app.test_pages import opened, texts

BASE = Recipe(
    model="resnet20-fashion", synthesis="genie", quantization="genie-m", preset="quick",
    synthesis_settings={"swing": True, "lr_latent": 0.1, "steps": 160},
)  # fmt: skip
LABELS = {("genie", "swing"): "Swing convolution", ("genie", "lr_latent"): "Rate of the latents"}


def other(**changes: object) -> Recipe:
    settings = {
        name: changes.pop(name) for name in list(changes) if name in BASE.synthesis_settings
    }
    recipe = dataclasses.replace(BASE, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(recipe, synthesis_settings=BASE.synthesis_settings | settings)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (other(), []),
        (other(seed=1), ["seed 1"]),
        (other(swing=False), ["without swing convolution"]),
        (other(lr_latent=0.5), ["rate of the latents 0.5"]),
        (other(weight_bits=2), ["W2A4"]),
        (other(synthesis="noise", swing=False), ["images: Noise"]),  # its settings are not genie's
        (other(preset="standard", steps=500, images=256), ["effort Standard"]),
    ],
)
def test_what_differs_is_said_in_words(recipe: Recipe, said: list[str], runs: Path) -> None:
    assert changed(BASE, recipe, LABELS) == said


def test_a_run_is_told_from_the_most_alike_that_is_older_and_a_fork_from_its_parent(
    runs: Path,
) -> None:
    fork = other(lr_latent=0.5, forked_from="first@9")
    told = differences(
        [
            Ran(run_id="third", recipe=other(seed=1, weight_bits=2), when_s=3),
            Ran(run_id="first", recipe=BASE, when_s=1),
            Ran(run_id="second", recipe=other(seed=1), when_s=2),
            Ran(run_id="fork", recipe=fork, when_s=4),
            Ran(run_id="orphan", recipe=other(forked_from="gone@3"), when_s=5),
        ],
        {},
    )
    assert told == {
        "first": "first of its kind",
        "second": "seed 1",
        "third": "W2A4",  # from the second, not from the first
        "fork": "forked at step 9, lr latent 0.5",
        "orphan": "forked at step 3 of a run that is not here",
    }


def test_a_note_lies_beside_the_run_and_changes_no_recipe(finished: str, runs: Path) -> None:
    folder = fabricate(runs, Fabricated(seed=4))
    before = folder.recipe
    assert note_of(folder) == Note()
    write_note(folder, Note(name=" my\n run ", text="why\nnot"))
    assert note_of(folder) == Note(name="my run", text="why\nnot")
    assert folder.recipe == before
    assert matches(folder, "MY seed 4")
    assert not matches(folder, "my seed 5")
    for damaged in ("{", "[]", '{"name": 3}'):
        (folder.path / "note.json").write_text(damaged)
        assert note_of(folder) == Note()
    with pytest.raises(UserError, match="give at most"):
        write_note(folder, Note(text="x" * (LONGEST_NOTE + 1)))


def test_a_note_of_somebody_else_s_run_is_refused(
    finished: str, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fabricate(runs, Fabricated(seed=4))
    monkeypatch.setattr("app.access.visitors.may_control", lambda path: False)
    with pytest.raises(UserError, match="somebody else's"):
        write_note(folder, Note(name="mine now"))
    assert note_of(folder) == Note()


def judged(right: list[bool], **more: object) -> dict[str, object]:
    share = sum(right) / len(right)
    return {"quantized_top1": share, "test_images": len(right), "test_set": "t", "right": packed(right),
            "top1_band": {"quantized": [share - 0.1, share + 0.1]}} | more  # fmt: skip


def test_a_pair_is_told_apart_image_by_image_where_its_bands_overlap() -> None:
    its = judged([True] * 80 + [False] * 20)
    mine = judged([True] * 88 + [False] * 12)  # all that the other has right, and 8 more
    paired = paired_between(mine, its)
    assert paired is not None
    assert (paired.lost, paired.won) == (8, 0)
    assert "**B is 8.00 points better than A**" in verdict("B", mine, "A", its)
    assert "**A is 8.00 points worse than B**" in verdict("A", its, "B", mine)
    without = mine | {"right": ""}
    assert "not distinguishable" in verdict("B", without, "A", its)
    assert "other test images" in verdict("B", mine | {"test_set": "u"}, "A", its)


def test_same_images_are_those_of_one_synthesis(runs: Path) -> None:
    one, nearest, seed = (
        open_side(fabricate(runs, made))
        for made in (Fabricated(), Fabricated(quantization="nearest"), Fabricated(seed=1))
    )
    assert "Same images: yes" in same_images([one, nearest])
    assert "same quantizer: yes" in same_images([one, seed])
    assert same_images([nearest, seed]).count("yes") == 0


def test_the_comparison_says_its_result_before_its_images(runs: Path) -> None:
    ids = [
        fabricate(runs, Fabricated(top1=top1, seed=k)).run_id for k, top1 in enumerate((0.7, 0.9))
    ]
    for k, made in enumerate(ids):  # layers as a worker leaves them
        file = runs / made / "result.json"
        result = json.loads(file.read_text())
        result["layers"] = [{"path": "conv1", "sqnr_accumulated_db": 20.0 + k}]
        file.write_text(json.dumps(result))
    at = opened("runs", runs=",".join(ids))
    text = texts(at)
    assert "20.00 points better" in text
    assert "A is noisier than B in 1 of 1 layers." in text
    assert any("recipes-csv" in one.proto.id for one in at.get("download_button"))
    at.button(key="all-runs").click().run()
    assert "What ran" in at.title[0].value
    old = opened("compare", runs=",".join(ids))
    assert "20.00 points better" in texts(old)  # the address of before leads there


def test_use_this_recipe_opens_the_dialog_with_it(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fabricate(runs, Fabricated(seed=6, synthesis="noise"))
    monkeypatch.setattr("app.panels.runs.table.many_runs", lambda *_, **__: [folder])
    at = opened("runs")
    at.button(key="other-seed").click().run()
    assert at.selectbox(key="new-1-synthesis").value == "noise"
    assert at.session_state["new-run"].wanted["seed"] == 7


def test_several_are_deleted_after_a_question(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [fabricate(runs, Fabricated(seed=seed)) for seed in (1, 2, 3)]
    monkeypatch.setattr("app.panels.runs.table.many_runs", lambda *_, **__: folders[:2])
    at = opened("runs")
    at.button(key="delete-chosen").click().run()
    assert all(folder.path.exists() for folder in folders)
    at.button(key="delete-chosen").click()  # tests do not draw a dialog again by itself
    at.button(key="delete-confirmed").click().run()
    assert [folder.path.exists() for folder in folders] == [False, False, True]
