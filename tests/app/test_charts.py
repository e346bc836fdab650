"""Events in, figures out; and the sentences that go with them."""

import math

import pytest

from app.charts.bindings import MOST_COLUMNS, MOST_POINTS, extended
from app.charts.images import compare, synthesis
from app.charts.layers import layer_errors, reconstruction
from app.charts.layers.levels import bad_db, good_db
from app.charts.outcomes.results import Accuracy, accuracies, overlap
from app.charts.outcomes.verdicts import inherited_verdict, layers_verdict
from app.charts.style import FINE, OVER, WATCH

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


def test_bars_are_errors_in_the_colour_of_their_level_and_more_is_worse() -> None:
    between = (good_db() + bad_db()) / 2
    events = [measured("b", bad_db() - 1, 0), measured("a", 40, 20), measured("c", between, 6)]
    figure = extended(layer_errors.layer_bars(LAYERS), events).figure
    alone, with_all = figure["data"][:2]
    assert alone["y"][0] == pytest.approx(0.01)  # 40 dB: the error is a hundredth of the signal
    assert with_all["y"][:2] == pytest.approx([0.1, 1.0])
    assert alone["y"][1] > alone["y"][2] > alone["y"][0]
    assert alone["marker"]["color"] == [FINE, OVER, WATCH]
    assert extended(layer_errors.flipped_bars(LAYERS), events).figure["data"][0]["y"] == [0.2] * 3


def test_the_legend_names_every_colour_that_a_bar_may_take() -> None:
    chart = layer_errors.layer_bars(LAYERS)
    keys = [one for one in chart.figure["data"] if one.get("showlegend", True)]
    named = {one["marker"]["color"] for one in keys}
    binding = chart.bindings[0]
    assert {binding["colour"], *(colour for _, colour in binding["above"])} <= named
    assert len({one["name"] for one in keys}) == len(keys) == 4


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


def judged(top1: float, low: float, high: float) -> dict[str, object]:
    band = {"lost": 0, "won": 0, "share": 0.92 - top1, "band": [low, high]}
    return {"fp32_top1": 0.92, "quantized_top1": top1, "top1_drop": band, "test_images": 10_000}


CHANCE, LOST = judged(0.9195, -0.002, 0.003), judged(0.81, 0.10, 0.12)


def verdict(levels: list[float], result: dict[str, object] | None = None, **more: object) -> str:
    events = [measured(f"layer {n}", level, level - 5) for n, level in enumerate(levels)]
    return layers_verdict(events, 2, result, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("db", [0.0, 12.0, 40.0])
def test_a_loss_within_chance_is_said_first_whatever_the_sqnr(db: float) -> None:
    said = verdict([30, db], CHANCE)
    assert said.startswith("**The loss is within chance**")
    assert "the answers bear it" in said
    assert "more bits" not in said


@pytest.mark.parametrize("db", [0.0, 12.0, 40.0])
def test_a_loss_of_eleven_points_never_calls_the_layers_good(db: float) -> None:
    said = verdict([45, db], LOST)
    assert said.startswith("**11.00 points of top-1 are lost**, more than chance")
    assert not any(word in said for word in ("none is bad", "all good", "bear it", "cost nothing"))


def test_the_ranking_says_whether_it_is_by_cost_or_by_sqnr() -> None:
    by_cost = verdict([30, 5], LOST, costliest={"path": "layer 0"})
    assert "By measured cost `layer 0`" in by_cost
    assert "`layer 1`" not in by_cost
    assert "By SQNR (costs are not measured) look at `layer 1` first" in verdict([30, 5], LOST)


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([30, 40], "as small as in layers that cost nothing"),
        ([30, (good_db() + bad_db()) / 2], "to watch"),
        ([30, 9], "costs answers more often than not. Give"),
        ([4, 9], "2 layers have such errors"),
        ([4], "1 of 2 layers is measured"),
        ([50], "its error is less than 1\u00a0% of its signal"),
        ([], "No layer is measured yet"),
    ],
)
def test_before_the_answers_are_judged_errors_are_told_by_what_they_cost_elsewhere(
    levels: list[float], words: str
) -> None:
    assert words in verdict(levels)


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ([30, 40], "the run ended before the answers were judged"),
        ([4], "The run ended early: 1 of 2 layers is measured"),
        ([], "The run ended before a layer was measured"),
    ],
)
def test_a_run_that_ended_early_promises_nothing_more(levels: list[float], words: str) -> None:
    said = verdict(levels, at_work=False)
    assert words in said
    assert "next" not in said
    assert "appear" not in said


def test_what_is_inherited_is_told_in_the_same_unit_as_the_bars() -> None:
    assert "is 100\u00a0% of the signal" in inherited_verdict([measured("a", 20, 0)])
    assert "10\u00a0% by itself" in inherited_verdict([measured("a", 20, 0)])
    assert "less than 1\u00a0% by itself" in inherited_verdict([measured("a", 50, 0)])
    assert "almost nothing is inherited" in inherited_verdict([measured("a", 20, 19.9)])
    assert inherited_verdict([]) == ""


@pytest.mark.parametrize(
    ("bits", "clipped", "words"),
    [
        (4, 0.2, "Give it more bits first"),
        (8, 0.2, "20.0\u00a0% of them lie beyond their levels"),
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
    assert "0.93 93.0\u00a0%" in accuracies([row(0.9), row(0.93)]).alt


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
