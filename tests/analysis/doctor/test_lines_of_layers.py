"""The lines that rules about weights and bits draw: both sides of each."""

from dataclasses import replace

import numpy as np
import pytest

from engine.analysis.doctor.ranking import findings_of
from engine.analysis.doctor.record import BIT_DB, Norm
from engine.analysis.layers.bit_tables import CLIFF_DB
from engine.models.card_settings import TINY_VARIANCE
from tests.analysis.doctor.records import healthy, layer, with_layer

FOUR = healthy(bits=4, db=25.0)


def of(rule, record):
    return [one for one in findings_of(record) if one.rule == rule]


def told(rule, record):
    return [one.layer for one in of(rule, record)]


def one_channel(value, count=8):
    found = np.ones(count)
    found[count - 2] = value
    return found


# --- weights ------------------------------------------------------------------------------------


def test_an_outlier_reaches_eight_times_as_far_as_the_median_channel_that_is_alive():
    for ratio, found in ((7.9, []), (8.0, ["d"])):
        assert told("weight-outlier", with_layer(FOUR, "d", columns=one_channel(ratio))) == found
    dead = np.array([0.0] * 5 + [1.0, 1.0, 8.0])  # the median of all would be 0
    (one,) = of("weight-outlier", with_layer(FOUR, "d", columns=dead))
    assert one.evidence["channel"] == 7
    assert one.evidence["ratio"] == 8.0
    few = np.array([1.0, 8.0, 0.0])  # of two channels none is the median
    assert told("weight-outlier", with_layer(FOUR, "d", columns=few)) == []
    three = np.array([1.0, 1.0, 8.0])
    assert told("weight-outlier", with_layer(FOUR, "d", columns=three)) == ["d"]


@pytest.mark.parametrize("bits", [7, 4, 2])
def test_a_weight_outlier_s_gain_is_that_of_the_bits_missing_to_eight(bits):
    record = with_layer(FOUR, "d", columns=one_channel(9.0), weight_bits=bits, inputs_db=None)
    (one,) = of("weight-outlier", record)
    assert one.predicted_gain == pytest.approx((8 - bits) * BIT_DB)
    assert one.change.weight_bits == {"d": 8}
    eight = with_layer(record, "d", weight_bits=8)
    assert told("weight-outlier", eight) == []


def test_equalising_is_proposed_for_an_outlier_only_where_a_pair_is_there_and_it_is_off():
    columns = one_channel(9.0)
    (pair,) = of("weight-outlier", with_layer(FOUR, "c", columns=columns))
    assert pair.change.quantization_settings == {"equalise": True}
    (alone,) = of("weight-outlier", with_layer(FOUR, "d", columns=columns))
    assert alone.change.weight_bits == {"d": 8}
    on = replace(with_layer(FOUR, "c", columns=columns), settings={"equalise": True})
    assert of("weight-outlier", on)[0].change.weight_bits == {"c": 8}


def test_of_pairs_fifty_times_apart_the_worst_is_named_and_the_others_counted():
    one = with_layer(FOUR, "c", ratio=50.0)
    (found,) = of("range-ratio", one)
    assert (found.layer, found.severity) == ("c", "yellow")
    assert "more" not in found.cause
    assert told("range-ratio", with_layer(FOUR, "c", ratio=49.9)) == []
    assert told("range-ratio", with_layer(FOUR, "d", ratio=90.0)) == []  # no pair
    two = with_layer(one, "e", writer="d", ratio=60.0)
    assert "it is with 1 more pair." in of("range-ratio", two)[0].cause
    more = with_layer(with_layer(one, "d", writer="c", ratio=70.0), "e", writer="d", ratio=60.0)
    (found,) = of("range-ratio", more)
    assert found.layer == "d"
    assert "2 more pairs" in found.cause
    assert found.evidence["pairs"] == {"c": 50.0, "d": 70.0, "e": 60.0}
    for bits, severity in (((8, None), "note"), ((8, 7), "yellow"), ((7, 8), "yellow")):
        wide = with_layer(one, "c", weight_bits=bits[0], activation_bits=bits[1])
        assert of("range-ratio", wide)[0].severity == severity
    for there in ({"equalise": True}, {}):
        assert told("range-ratio", replace(one, settings=there)) == []


def test_a_dead_channel_has_no_weight_beside_the_largest_or_is_multiplied_by_nothing():
    rows = np.array([100.0, 1.0, 1e-3, 0.9e-3, 0.0, 2.0, 3.0, 4.0])  # a 1e-5th is 1e-3
    record = with_layer(healthy(), "d", rows=rows, norm=None)
    (found,) = of("dead-channels", record)
    assert found.evidence == {"dead": {"d": 3}, "share": 3 / 8}
    gamma = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    norm = Norm(path="n", variance=np.ones(8), gamma=gamma, seen=np.ones(8), eps=1e-5)
    (found,) = of("dead-channels", with_layer(record, "d", norm=norm))
    assert found.evidence["dead"] == {"d": 4}
    other = Norm(path="n", variance=np.ones(4), gamma=np.zeros(4), seen=np.ones(4), eps=1e-5)
    (found,) = of("dead-channels", with_layer(record, "d", norm=other))  # of other channels
    assert found.evidence["dead"] == {"d": 3}
    none = with_layer(record, "d", rows=np.zeros(0))
    assert told("dead-channels", none) == []


def test_the_layer_with_the_greatest_share_of_dead_channels_is_named():
    rows = {"c": [1.0] * 13 + [0.0] * 3, "d": [1.0] * 6 + [0.0] * 2}
    record = healthy()
    for path, values in rows.items():
        record = with_layer(record, path, rows=np.array(values), norm=None)
    (found,) = of("dead-channels", record)
    assert (found.layer, found.evidence["share"], found.severity) == ("d", 0.25, "note")
    more = with_layer(record, "d", rows=np.array([1.0] * 5 + [0.0] * 3))
    assert of("dead-channels", more)[0].severity == "yellow"


def test_a_tiny_variance_names_the_loudest_channel_and_hurts_the_layer_behind():
    variance, gamma, seen = np.ones(8), np.ones(8), np.ones(8)
    variance[[2, 5]], seen[[2, 5]], gamma[5] = 1e-9, 0.1, -3.0
    norm = Norm(path="b.bn", variance=variance, gamma=gamma, seen=seen, eps=1e-5)
    (found,) = of("tiny-variance", with_layer(healthy(), "b", norm=norm))
    assert (found.layer, found.hurts) == ("b.bn", "c")
    assert found.evidence["channels"] == [2, 5]
    assert found.evidence["factor"] == pytest.approx(
        [abs(g) / (v + 1e-5) ** 0.5 for g, v in zip(gamma, variance, strict=True)]
    )
    assert "Channel 5" in found.cause
    paired = with_layer(with_layer(healthy(), "b", norm=norm), "e", writer="b")
    paired = with_layer(paired, "c", writer="")
    assert of("tiny-variance", paired)[0].hurts == "e"
    before = with_layer(healthy(), "d", norm_before=norm)
    assert [(one.layer, one.hurts) for one in of("tiny-variance", before)] == [("b.bn", "d")]
    last = with_layer(healthy(), "f", norm=norm)
    assert of("tiny-variance", last)[0].hurts == ""


@pytest.mark.parametrize("median", [0.01, 1.0, 100.0])
@pytest.mark.parametrize(("share", "found"), [(0.9, ["d.bn"]), (1.1, [])])
def test_a_variance_is_tiny_beside_the_median_of_its_layer(median, share, found):
    variance = median * one_channel(share * TINY_VARIANCE)
    norm = Norm(path="d.bn", variance=variance, gamma=np.ones(8), seen=np.ones(8), eps=0.0)
    assert told("tiny-variance", with_layer(healthy(), "d", norm=norm)) == found


# --- bits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "reads", "db", "found"),
    [(7, 8, 19.9, True), (8, 7, 19.9, True), (7, None, 19.9, True), (8, 8, 19.9, False),
     (8, None, 19.9, False), (7, 7, 20.0, False), (7, 7, None, False)],
)  # fmt: skip
def test_a_layer_is_past_its_cliff_below_twenty_decibels_and_could_have_more_bits(
    weights, reads, db, found
):
    assert CLIFF_DB == 20
    record = with_layer(healthy(), "d", weight_bits=weights, activation_bits=reads, sqnr_db=db)
    assert told("past-cliff", record) == (["d"] if found else [])


def test_of_layers_past_their_cliff_three_are_told_those_of_the_most_gain_then_of_the_least_db():
    record = healthy()
    for path, (gain, db) in {
        "a": (0.0, 5.0),
        "b": (0.0, 4.0),
        "c": (0.3, 9.0),
        "d": (0.1, 1.0),
    }.items():
        record = with_layer(record, path, weight_bits=4, sqnr_db=db, float_gain=gain)
    (spread,) = of("spread-loss", record)
    assert list(spread.evidence["sqnr_db"].items()) == [("c", 9.0), ("d", 1.0), ("b", 4.0)]
    assert set(told("past-cliff", record)) == {"c", "d", "b"}
    three = with_layer(record, "a", sqnr_db=30.0)  # each told by itself
    assert told("spread-loss", three) == []


def test_the_loss_is_spread_over_the_quarter_of_the_layers_on_which_the_answer_hangs():
    layers = tuple(layer(f"l{k}", 3, 12.0) for k in range(24))
    record = replace(healthy(), layers=layers)
    (found,) = of("spread-loss", record)
    assert list(found.change.weight_bits) == [f"l{k}" for k in range(6)]
    assert set(found.change.weight_bits.values()) == {8}
    assert found.change.weight_bits == found.change.activation_bits
    assert found.wide
    seven = replace(record, layers=tuple(replace(one, activation_bits=None) for one in layers[:16]))
    (found,) = of("spread-loss", seven)
    assert found.change.activation_bits == {}
    assert found.change.words == "give 8 bits to l0, l1, l2 and 1 other layer"
    (found,) = of("spread-loss", replace(record, layers=layers[:12]))
    assert found.change.words == "give 8 bits to l0, l1 and l2"


def test_a_layer_has_few_bits_from_two_below_the_median():
    record = with_layer(FOUR, "d", weight_bits=3)
    assert told("few-bits", record) == []
    record = with_layer(FOUR, "d", weight_bits=2, activation_bits=2, weights_db=200.0)
    (found,) = of("few-bits", record)
    assert (found.change.weight_bits, found.change.activation_bits) == ({"d": 4}, {"d": 4})
    assert found.predicted_gain == pytest.approx(2 * BIT_DB, abs=0.01)
    assert "its weights 2 bits and its input 2 bits where most layers have 4 and 4" in found.cause
    only = with_layer(record, "d", activation_bits=3)
    (found,) = of("few-bits", only)
    assert (found.change.weight_bits, found.change.activation_bits) == ({"d": 4}, {})
    only = with_layer(record, "d", weight_bits=3)
    (found,) = of("few-bits", only)
    assert (found.change.weight_bits, found.change.activation_bits) == ({}, {"d": 4})


def test_depthwise_layers_suffer_below_six_bits_and_are_told_together_where_they_are_several():
    record = with_layer(healthy(), "d", kind="depthwise", weight_bits=6)
    assert told("depthwise-bits", record) == []
    record = with_layer(record, "d", weight_bits=8, activation_bits=5)
    assert told("depthwise-bits", record) == ["d"]
    assert told("depthwise-bits", with_layer(record, "d", activation_bits=None)) == []
    both = with_layer(record, "c", kind="depthwise", weight_bits=5, float_gain=0.1)
    one, every = sorted(of("depthwise-bits", both), key=lambda found: found.wide)
    assert one.layer == "c"
    assert every.wide
    assert every.change.weight_bits == every.change.activation_bits == {"c": 8, "d": 8}
    # Weights miss 3 bits, the input none: both noises are alike.
    assert every.predicted_gain == pytest.approx(10 * np.log10(2 / (10 ** (-0.3 * BIT_DB) + 1)))
    louder = with_layer(both, "c", float_gain=0.0, sqnr_db=30.0)
    assert told("depthwise-bits", louder).count("c") == 1
    quieter = with_layer(louder, "d", sqnr_db=20.0)
    assert "d" in told("depthwise-bits", quieter)


@pytest.mark.parametrize(
    ("weights", "reads", "found"),
    [(8, 8, 0), (8, None, 0), (7, 8, 1), (8, 7, 1), (7, None, 1), (7, 7, 1)],
)
def test_an_edge_layer_is_told_below_eight_bits(weights, reads, found):
    record = with_layer(healthy(), "f", weight_bits=weights, activation_bits=reads)
    for one in of("edge-layer", record):
        assert one.change.weight_bits == ({"f": 8} if weights < 8 else {})
        assert one.change.activation_bits == ({"f": 8} if (reads or 8) < 8 else {})
    assert len(told("edge-layer", record)) == found
    assert told("edge-layer", with_layer(healthy(), "d", weight_bits=weights)) == []
