"""Events in, figures out; and the sentences that go with them."""

import math

import pytest

from app.charts import compare, quantization, reconstruction, synthesis
from app.charts.bindings import MOST_COLUMNS, MOST_POINTS, extended
from app.charts.results import Accuracy, accuracies, overlap
from app.charts.style import OVER, QUANTIZED, WATCH
from app.charts.verdicts import inherited_verdict, layers_verdict

LAYERS = [{"path": path} for path in ("a", "b", "c")]


def step(number: int, **more: object) -> dict[str, object]:
    event = {"kind": "stepped", "stage": "synthesis", "part": "batch 1", "step": number}
    return event | {"losses": {"batchnorm": 1.0 / number}, "bn_gap": [0.1, number], **more}


def test_gap_map_grows_by_a_column_a_step() -> None:
    chart = extended(synthesis.gap_map(["x", "y"]), [step(n) for n in (1, 2, 3)])
    trace = chart.figure["data"][0]
    assert trace["x"] == [1, 2, 3]
    assert trace["z"][0] == [-1, -1, -1]
    assert trace["customdata"][1] == [1, 2, 3]


def test_repeated_steps_of_a_resumed_run_replace_what_they_repeat() -> None:
    events = [step(n) for n in (1, 2, 3, 4)] + [step(3, bn_gap=[1.0, 1.0])]
    trace = extended(synthesis.gap_map(["x", "y"]), events).figure["data"][0]
    assert trace["x"] == [1, 2, 3]
    assert [row[-1] for row in trace["z"]] == [0, 0]
    loss = extended(synthesis.losses(), events).figure["data"][0]
    assert loss["x"] == [1, 2, 3]


def test_gap_that_is_zero_or_not_a_number_does_no_harm() -> None:
    event = step(1, bn_gap=[0.0, math.nan])
    trace = extended(synthesis.gap_map(["x", "y"]), [event]).figure["data"][0]
    assert trace["z"] == [[-4], [None]]


def test_events_that_do_not_fit_the_layers_are_left_out() -> None:
    events = [step(1, bn_gap=[1.0]), step(2, bn_gap=None), {"kind": "new-kind"}]
    assert extended(synthesis.gap_map(["x", "y"]), events).figure["data"][0]["x"] == []


def test_long_runs_are_thinned() -> None:
    events = [step(n) for n in range(1, 3000)]
    assert (
        len(extended(synthesis.gap_map(["x", "y"]), events).figure["data"][0]["x"]) <= MOST_COLUMNS
    )
    line = extended(synthesis.losses(), events).figure["data"][0]
    assert len(line["x"]) == len(line["y"]) <= MOST_POINTS
    assert line["x"][-1] == 2999


def test_each_loss_part_gets_a_line_when_it_appears() -> None:
    events = [step(1), step(2, losses={"batchnorm": 1.0, "image": 2.0})]
    lines = extended(synthesis.losses(), events).figure["data"]
    assert [(line["name"], line["x"]) for line in lines] == [("batchnorm", [1, 2]), ("image", [2])]


def test_drawing_leaves_the_empty_chart_as_it_was() -> None:
    chart = synthesis.losses()
    extended(chart, [step(1)])
    assert chart.figure["data"] == []


def measured(path: str, local: float, accumulated: float) -> dict[str, object]:
    values = {"sqnr_local_db": local, "sqnr_accumulated_db": accumulated, "flipped": 0.2}
    return {"kind": "layer-measured", "path": path, "block": "b", "values": values}


def test_bars_fill_by_layer_in_the_colour_of_their_band() -> None:
    events = [measured("b", 8, 5), measured("a", 25, 24), measured("c", 15, 9)]
    bars = extended(quantization.layer_bars(LAYERS), events).figure["data"]
    assert bars[0]["y"] == [25, 8, 15]
    assert bars[1]["y"] == [24, 5, 9]
    assert bars[0]["marker"]["color"] == [QUANTIZED, OVER, WATCH]
    assert extended(quantization.flipped_bars(LAYERS), events).figure["data"][0]["y"] == [0.2] * 3


def test_block_at_work_empties_with_the_next_block() -> None:
    events = [
        {"kind": "stepped", "stage": "quantization", "part": part, "step": n, "losses": {"r": 1.0}}
        for n, part in enumerate(("one", "one", "two"), 1)
    ]
    figure = extended(reconstruction.block_at_work(), events).figure
    assert figure["layout"]["title"]["text"] == "two"
    assert figure["data"][0]["x"] == [3]


def test_every_block_has_its_own_small_chart() -> None:
    blocks = [{"name": f"block {n}"} for n in range(9)]
    event = {"kind": "stepped", "stage": "quantization", "part": "block 8", "step": 5}
    figure = extended(
        reconstruction.block_multiples(blocks), [event | {"losses": {"reconstruction": 0.5}}]
    ).figure
    assert [len(trace["x"]) for trace in figure["data"]] == [0] * 8 + [1]
    assert figure["layout"]["xaxis9"]["domain"][1] <= 1


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([30, 40], "all good"),
        ([30, 15], "one layer to watch"),
        ([30, 9], "one layer is bad"),
        ([4, 9], "2 layers are bad"),
        ([], "No layer is measured yet"),
    ],
)
def test_verdict_in_a_sentence(levels: list[float], words: str) -> None:
    events = [measured(f"layer {n}", level, level - 5) for n, level in enumerate(levels)]
    assert words in layers_verdict(events, 2)
    assert ("5.0 dB" in inherited_verdict(events)) == bool(levels)


@pytest.mark.parametrize(
    ("bits", "clipped", "words"),
    [
        (4, 0.2, "Give it more bits first"),
        (8, 0.2, "20.0% of them lie beyond their levels"),
        (8, 0.0, "look at what it reads"),
    ],
)
def test_a_bad_layer_with_all_bits_is_not_told_to_take_more(
    bits: int, clipped: float, words: str
) -> None:
    event = measured("stem", 8, 3)
    event["values"] |= {"weight_bits": bits, "weight_clip_share": clipped}
    assert words in layers_verdict([event], 1)


def test_bands_tell_what_is_distinguishable() -> None:
    def row(top1: float) -> Accuracy:
        return Accuracy(name=str(top1), top1=top1, low=top1 - 0.01, high=top1 + 0.01, colour="")

    assert overlap(row(0.9), row(0.915))
    assert not overlap(row(0.9), row(0.93))
    assert "0.93 93.0%" in accuracies([row(0.9), row(0.93)]).alt


def test_the_pointer_on_a_map_of_logarithms_is_told_the_number_and_whose() -> None:
    grids = [[[0.0, 0.0, 0.0]], [[-1.0, None, 0.5]]]
    _, ratio = compare.gap_differences(["bn1"], grids).figure["data"]
    assert ratio["customdata"][0][0] == pytest.approx(0.1)
    assert ratio["customdata"][0][1] is None
    assert ratio["customdata"][0][2] == pytest.approx(10**0.5)
    assert ratio["hovertemplate"].startswith("C / A · ")
    first, second = compare.gap_maps(["bn1"], [[[-2.0]], [[0.0]]]).figure["data"]
    assert (first["customdata"], second["customdata"]) == ([[0.01]], [[1.0]])
    assert second["hovertemplate"].startswith("B · ")
