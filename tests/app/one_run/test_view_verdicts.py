"""The sentence of each view that was without one, and the way out that it names."""

from pathlib import Path

import pytest

from app.panels.doctor.doctor import table as findings
from app.panels.images.verdict import loss_words, teacher_words
from app.panels.layers.allocation import table as allocation
from app.panels.layers.at_work.blocks import block_words, flipped_words
from app.panels.layers.drift import moved_most
from app.panels.layers.sensitivities import minds_most
from app.run_files.history import History
from tests.app.fabricate import ALLOCATION, BITS, Fabricated, fabricate
from tests.app.test_pages import opened, texts
from tests.app.why.test_doctor import FINDING
from tests.app.why.test_drift import FOUND as DRIFT
from tests.app.why.test_sensitivities import FOUND as RANKED


def stepped(stage: str, part: str, **losses: float | None) -> dict[str, object]:
    return {"kind": "stepped", "stage": stage, "part": part, "losses": losses}


def test_the_part_that_is_most_of_the_loss_is_named_and_the_student_is_none() -> None:
    last = stepped("synthesis", "batch 1", batchnorm=3.0, image=1.0, student=50.0)
    assert loss_words(History(events=[last], offset=0)).startswith(
        "At the last step *batchnorm* is 75"
    )
    one = stepped("synthesis", "batch 1", batchnorm=3.0, image=None)
    assert loss_words(History(events=[one], offset=0)) == ""
    assert loss_words(History(events=[], offset=0)) == ""


def test_what_the_teacher_sees_is_told_in_words() -> None:
    last = stepped("synthesis", "batch 1") | {"values": {"confidence": 0.5, "class_spread": 8.04}}
    assert "50\u00a0% sure" in teacher_words(History(events=[last], offset=0))
    assert "over 8.0 classes" in teacher_words(History(events=[last], offset=0))
    assert teacher_words(History(events=[stepped("synthesis", "batch 1")], offset=0)) == ""


def test_the_block_that_came_the_shortest_way_and_the_layer_whose_codes_moved_most() -> None:
    steps = [("a", 4.0), ("a", 1.0), ("b", 2.0), ("b", 1.0)]
    events = [stepped("quantization", part, reconstruction=loss) for part, loss in steps]
    events += [
        {"kind": "layer-measured", "path": path, "values": {"flipped": share}}
        for path, share in (("c", 0.1), ("d", 0.3), ("e", None))
    ]
    history = History(events=events, offset=0)
    assert "`b` came the shortest way: at its last step 50" in block_words(
        history, "reconstruction"
    )
    assert block_words(history, "error") == ""
    assert "moved in `d`: 30.0" in flipped_words(history)


def test_the_layer_of_the_way_out_is_the_one_of_the_sentence() -> None:
    most = moved_most(DRIFT)
    assert most is not None
    assert most["drift"] == max(one["drift"] or 0 for one in DRIFT["layers"])
    ranks = {one["path"]: one["ranks"]["kl"]["4"] for one in RANKED["layers"]}
    assert ranks[minds_most(RANKED, 4)] == min(ranks.values())


def test_findings_and_chosen_bits_are_rows() -> None:
    (row,) = findings([FINDING])
    assert (row["change"], row["band_low"], row["band_high"]) == ("give conv1 6 bits", 0.2, 0.4)
    assert findings([FINDING | {"change": None, "band": None}])[0]["band_low"] is None
    rows = {one["layer"]: one for one in allocation(ALLOCATION, BITS)}
    assert rows["conv1"] == {"layer": "conv1", "weight_bits": 8}
    assert rows["layer1.0.conv1"]["sensitivity_3_bits"] == 0.1


@pytest.mark.parametrize(("state", "says"), [("done", True), ("running", False)])
def test_a_run_at_work_is_not_judged_yet(
    runs: Path, state: str, says: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.run.folders.folder.processes.is_at_work", lambda *_: True)
    run = fabricate(runs, Fabricated(state=state)).run_id
    assert ("of the loss." in texts(opened("images", "growth-more", run=run))) is says
    assert ("came the shortest way" in texts(opened("layers", "blocks-more", run=run))) is says
