"""Events survive the disk; what does not parse is left out and never breaks a reader."""

import json

import pytest

from engine.core.events import (
    KINDS,
    BitsChosen,
    BlockStarted,
    LayerMeasured,
    Noted,
    RunFailed,
    RunFinished,
    RunStarted,
    SnapshotSaved,
    StageFinished,
    StageStarted,
    StateChanged,
    Stepped,
    Viewed,
    from_json,
)

ONE_OF_EACH = [
    RunStarted(
        device="CPU", threads=1, versions={"torch": "2"}, bn_layers=["bn"], blocks=[], layers=[]
    ),
    StageStarted(stage="synthesis", total_steps=3),
    BlockStarted(block="fc", index=0, total_steps=2),
    Stepped(stage="synthesis", part="batch 1", step=1, losses={"image": 0.25}, bn_gap=[1.0, 2.0]),
    SnapshotSaved(stage="synthesis", step=1, name="images", file="images-000001.webp"),
    BitsChosen(weight_bits={"fc": 3}, report={"front": [[10, 0.5]]}),
    Viewed(
        stage="quantization", part="fc", step=3, form="path", what="fc", arrays={"y": [0.5, None]}
    ),
    LayerMeasured(path="fc", block="fc", values={"sqnr_local_db": 30.5}),
    StageFinished(stage="synthesis", seconds=1.5),
    StateChanged(state="paused"),
    Noted(message="line\nbreak, ü and \u2028"),
    RunFinished(result={"top1": None, "nested": {"a": [1, 2.5]}}),
    RunFailed(message="broke", advice="mend"),
]


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)
def test_an_event_is_one_line_and_comes_back_equal(event):
    line = event.to_json()
    assert len(line.splitlines()) == 1
    assert from_json(line) == event
    assert from_json(line.encode()) == event
    assert json.loads(line)["kind"] == event.kind


def test_every_kind_is_tried_above():
    assert {event.kind for event in ONE_OF_EACH} == set(KINDS)


@pytest.mark.parametrize(
    "line",
    [
        "",
        '{"kind":"stepp',
        "[]",
        "3",
        "null",
        '"stepped"',
        "{}",
        b"\xff\xfe",
        '{"kind":"of-a-newer-version","time_s":1}',
        '{"kind":"noted","time_s":1,"message":"x","field_of_a_newer_version":2}',
        '{"kind":"noted","time_s":1}',
        '{"kind":["noted"],"message":"x"}',
    ],
)
def test_a_line_that_is_torn_or_unknown_is_none(line):
    assert from_json(line) is None
