"""Each fault, planted into a healthy run's numbers: the doctor names it and its layer first or second."""

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.analysis.doctor import discover_rules
from engine.analysis.doctor.ranking import findings_of, ranked, share_of, weighed
from engine.analysis.doctor.record import BIT_DB, Fed, Loss, Meeting, Norm, Wild, layer_gain
from engine.analysis.doctor.rules.bits.past_cliff import to_eight
from tests.analysis.doctor.records import healthy, layer, with_input, with_layer

FEW = healthy(bits=3, db=12.0)  # every layer past its cliff, as at three bits


def one_channel(value, place=5):
    found = np.ones(8)
    found[place] = value
    return found


def first_two(record):
    return [(one.rule, one.layer) for one in findings_of(record)[:2]]


def test_a_healthy_run_has_nothing_red():
    assert [one.rule for one in findings_of(healthy()) if one.severity != "note"] == []


TINY = Norm(path="d.bn", variance=one_channel(1e-9), gamma=np.ones(8), seen=np.ones(8), eps=1e-5)
FAULTS = {
    "a channel of the activations is scaled by 50": (
        with_layer(
            with_input(FEW, "d", channels=4 * one_channel(50.0), largest=200.0, high=190.0),
            "d", inputs_db=2.0, sqnr_db=2.0,
        ),
        ("activation-outlier", "d"),
    ),
    "and the weights that read it make up for one scaled by 1/50": (
        with_layer(FEW, "d", columns=one_channel(50.0), weights_db=2.0, sqnr_db=2.0), ("weight-outlier", "d"),
    ),
    "a range is cut to a tenth": (
        with_input(healthy(), "d", high=0.4, clipped=0.6, sqnr_db=2.0), ("clipped-range", "d"),
    ),
    "one layer has 2 bits among 8": (
        with_layer(healthy(), "d", weight_bits=2, sqnr_db=6.0, weights_db=6.0), ("few-bits", "d"),
    ),
    "the input of one layer has 2 bits among 8": (
        with_layer(healthy(), "d", activation_bits=2, sqnr_db=6.0, inputs_db=6.0), ("few-bits", "d"),
    ),
    "a variance is next to zero": (with_layer(healthy(), "d", norm=TINY), ("tiny-variance", "d.bn")),
    "many bits are lost to rounding": (
        replace(healthy(bits=4, db=25.0), loss=replace(FEW.loss, value=0.4)), ("nearest-rounding", ""),
    ),
    "a few images are a hundred times as bright": (
        with_input(healthy(), "d", wild=Wild(images=(7, 20), step_ratio=80.0, gain_db=35.0)),
        ("image-range", "d"),
    ),
    "images are normalised otherwise than in training": (
        replace(
            healthy(),
            fed=Fed(stem="a.bn", mean=(0.0,), std=(1.0,), std_ratio=0.35, mean_shift=1.2, distance=4.0,
                    near=False, images=64, better="the network's own", better_mean=(0.3,),
                    better_std=(0.35,), better_distance=0.1),
        ),
        ("normalisation", "a.bn"),
    ),
    "something is no number": (replace(FEW, not_finite=("c", "d")), ("not-finite", "c")),
    "the first layer has few bits": (
        with_layer(healthy(), "a", weight_bits=3, sqnr_db=9.0, weights_db=9.0), ("edge-layer", "a"),
    ),
    "a depthwise layer has few bits": (
        with_layer(FEW, "d", kind="depthwise", sqnr_db=3.0, weights_db=3.0), ("depthwise-bits", "d"),
    ),
    "neighbours have very different ranges": (
        with_layer(healthy(bits=4, db=25.0), "c", ratio=400.0), ("range-ratio", "c"),
    ),
    "of two branches that are added one is a hundred times as large": (
        with_layer(
            healthy(bits=4, db=25.0), "d", inputs_db=25.0,
            meeting=Meeting(kind="addition", sizes={"b": 0.1, "c": 10.0}),
        ),
        ("unequal-branches", "d"),
    ),
    "half of the levels lie below zero": (
        with_input(healthy(bits=4, db=25.0), "d", least=-0.3, low=-4.0), ("negative-values", "d"),
    ),
    "most channels are dead": (
        with_layer(healthy(), "d", rows=np.array([1.0] * 3 + [0.0] * 5)), ("dead-channels", "d"),
    ),
    "images are few": (
        replace(healthy(), images=replace(healthy().images, count=4)), ("few-images", ""),
    ),
    "images are all alike": (
        replace(healthy(), images=replace(healthy().images, alike=0.97)), ("alike-images", ""),
    ),
    "images are far from the statistics": (
        replace(healthy(), images=replace(healthy().images, distance=1.4)), ("batchnorm-gap", ""),
    ),
    "learning is worse than nearest": (
        replace(healthy(), learns=True, quantization="genie-m", nearest_gain=0.5, nearest_band=(0.3, 0.7)),
        ("learning-harm", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_with_its_layer(fault):
    record, wanted = FAULTS[fault]
    assert wanted in first_two(record)


def test_every_rule_has_a_fault_that_it_finds():
    planted = {rule for _, (rule, _) in FAULTS.values()}
    assert planted | {"past-cliff", "spread-loss"} == discover_rules().keys()


def test_of_layers_past_their_cliff_those_are_told_that_the_answer_hangs_on():
    record = FEW
    for path, gain in zip("bcde", (0.1, 0.4, 0.2, 0.3), strict=True):
        record = with_layer(record, path, float_gain=gain)
    told = [one.layer for one in findings_of(record) if one.rule == "past-cliff"]
    assert set(told) == {"c", "e", "d"}


def test_what_is_given_bits_in_one_round_and_in_the_next_is_named_otherwise():
    record = replace(FEW, layers=tuple(layer(f"l{k}", 3, 12.0) for k in range(20)))
    told = []
    for _ in range(2):
        (found,) = [one for one in findings_of(record) if one.rule == "spread-loss"]
        told.append(found.change.words)
        for path in found.change.weight_bits:
            record = with_layer(record, path, weight_bits=8, activation_bits=8, sqnr_db=40.0)
    assert told == [
        "give 8 bits to l0, l1, l2 and 2 other layers",
        "give 8 bits to l5, l6, l7 and 2 other layers",
    ]


def test_a_channel_that_is_as_still_as_its_variance_says_is_left_alone():
    still = replace(TINY, seen=one_channel(1e-5))
    assert "tiny-variance" not in {
        one.rule for one in findings_of(with_layer(healthy(), "d", norm=still))
    }


def test_the_gain_of_a_layer_adds_the_powers_of_two_noises():
    # 20 dB by each: noise 0.01 + 0.01. Weights 10 dB better: 0.001 + 0.01.
    there = replace(layer("a"), weights_db=20.0, inputs_db=20.0)
    assert layer_gain(there, weights=10.0) == pytest.approx(10 * np.log10(0.02 / 0.011))
    assert layer_gain(replace(there, inputs_db=None), weights=10.0) == pytest.approx(10.0)


def test_a_change_that_the_quantizer_cannot_make_is_not_proposed():
    scaled = with_input(FEW, "c", channels=4 * one_channel(50.0))
    (first,) = [one for one in findings_of(scaled) if one.rule == "activation-outlier"]
    assert first.change.quantization_settings == {"equalise": True}  # b and c are a pair
    done = replace(scaled, settings={**scaled.settings, "equalise": True})
    (then,) = [one for one in findings_of(done) if one.rule == "activation-outlier"]
    assert then.change.activation_bits == {"c": 8}
    assert not then.change.quantization_settings


def test_a_gain_that_may_be_chance_is_no_harm_of_learning():
    unsure = replace(healthy(), learns=True, nearest_gain=0.1, nearest_band=(-0.1, 0.3))
    assert findings_of(unsure) == []


def test_a_sure_cause_comes_before_what_it_does_where_it_hurts():
    sick = replace(
        with_layer(with_layer(FEW, "d", norm=TINY), "e", sqnr_db=1.0),
        loss=Loss(value=0.5, unit="KL", images=9),
    )
    there = [
        replace(one, predicted_gain=0.3, unit="KL", band=(0.2, 0.4))
        for one in findings_of(sick)
        if one.layer == "e" and one.rule == "past-cliff"
    ]
    (cause,) = [one for one in findings_of(sick) if one.rule == "tiny-variance"]
    first, second = ranked([*there, cause], sick.loss)
    assert cause.hurts == "e"
    assert (first.rule, first.severity, second.rule) == ("tiny-variance", "red", "past-cliff")


def test_what_gains_most_of_the_loss_is_red_and_what_may_be_chance_a_note():
    loss = Loss(value=0.4, unit="KL", images=64)
    one = findings_of(FAULTS["one layer has 2 bits among 8"][0])[0]
    by_gain = [
        weighed(
            replace(one, predicted_gain=gain, band=(gain - wide, gain + wide), unit="KL"), loss
        ).severity
        for gain, wide in ((0.2, 0.1), (0.04, 0.01), (0.001, 0.0001), (0.2, 0.3))
    ]
    assert by_gain == ["red", "yellow", "note", "note"]
    well = replace(loss, value=0.01)
    assert (
        weighed(replace(one, predicted_gain=0.009, band=(0.008, 0.01), unit="KL"), well).severity
        == "note"
    )


def test_the_way_out_of_few_bits_counts_those_that_are_added_to_weights_and_input():
    one = layer("a", bits=3, db=12.0)
    assert to_eight(one, "").predicted_gain == pytest.approx(5 * BIT_DB)
    assert to_eight(replace(one, activation_bits=None, inputs_db=None), "").predicted_gain == (
        pytest.approx(5 * BIT_DB)
    )
    weights_alone = to_eight(replace(one, activation_bits=8), "").predicted_gain
    assert weights_alone == pytest.approx(10 * math.log10(2 / (1 + 10 ** (-5 * BIT_DB / 10))))


@pytest.mark.parametrize(
    ("unit", "gain", "share"),
    [("dB of the outputs", 10.0, 0.9), ("KL", 0.1, 0.25), ("top1", 0.5, 0.0), ("KL", None, 0.0)],
)
def test_a_gain_is_a_share_of_the_loss(unit, gain, share):
    one = findings_of(FAULTS["the first layer has few bits"][0])[0]
    loss = Loss(value=0.4, unit="KL", images=64)
    assert share_of(replace(one, predicted_gain=gain, unit=unit), loss) == pytest.approx(share)


def test_the_network_s_gain_decides_the_order():
    loss = Loss(value=0.4, unit="KL", images=64)
    found = findings_of(FAULTS["the first layer has few bits"][0])
    gains = iter((0.01, 0.3, 0.1, 0.2, 0.15, 0.12))
    told = ranked(
        [replace(one, predicted_gain=next(gains), unit="KL", severity="red") for one in found], loss
    )
    assert [one.predicted_gain for one in told] == sorted(
        (one.predicted_gain for one in told), reverse=True
    )


def test_a_small_branch_that_is_still_far_above_the_rounding_is_left_alone():
    # Side by side, a concatenation has the mean of both sizes: 3 dB more are left.
    beside = Meeting(kind="concatenation", sizes={"b": 1.0, "c": 100.0})
    for db, told in ((57.1, False), (56.9, True)):
        run = with_layer(with_input(healthy(bits=7), "d", sqnr_db=db), "d", meeting=beside)
        assert ("unequal-branches" in {one.rule for one in findings_of(run)}) is told
    # Of 60 dB the branch of a hundredth of the size has 20 left, of 59 dB 19: the cliff is at 20.
    sizes = Meeting(kind="addition", sizes={"b": 1.0, "c": 100.0})
    for db, told in ((60.01, False), (59.0, True)):
        run = with_layer(with_input(healthy(bits=7), "d", sqnr_db=db), "d", meeting=sizes)
        assert ("unequal-branches" in {one.rule for one in findings_of(run)}) is told
