"""The lines that rules about images, what they give a layer, and the outcome draw: both sides of each."""

from dataclasses import replace

import numpy as np
import pytest

from engine.analysis.doctor.ranking import findings_of
from engine.analysis.doctor.record import BIT_DB, Fed, Loss, Meeting, Wild
from tests.analysis.doctor.records import healthy, with_input, with_layer

FOUR = healthy(bits=4, db=25.0)


def of(rule, record):
    return [one for one in findings_of(record) if one.rule == rule]


def told(rule, record):
    return [one.layer for one in of(rule, record)]


def of_images(record, **changes):
    return replace(record, images=replace(record.images, **changes))


@pytest.mark.parametrize(("learns", "enough"), [(False, 32), (True, 64)])
def test_grids_want_32_images_and_learners_64(learns, enough):
    record = replace(healthy(), learns=learns)
    assert of("few-images", of_images(record, count=enough)) == []
    (found,) = of("few-images", of_images(record, count=enough - 1))
    assert found.change.images == enough
    assert not found.change.same_images
    (real,) = of("few-images", of_images(record, count=1, made=False))
    assert real.change is None


def test_images_are_alike_by_features_or_by_the_classes_seen_from_four_images_on():
    alike = of_images(healthy(), alike=0.91)
    assert told("alike-images", alike) == [""]
    assert told("alike-images", of_images(alike, count=4)) == [""]
    assert told("alike-images", of_images(alike, count=3)) == []
    assert told("alike-images", of_images(alike, alike=0.9)) == []
    few = of_images(healthy(), alike=None, classes_seen=4.9)
    assert told("alike-images", few) == [""]
    assert told("alike-images", of_images(few, classes_seen=5.0)) == []
    assert told("alike-images", of_images(few, classes_seen=None)) == []
    assert told("alike-images", of_images(few, classes=0)) == []


def test_images_are_far_from_stored_statistics_from_three_tenths_of_a_deviation():
    far = of_images(healthy(), distance=0.3)
    (found,) = of("batchnorm-gap", far)
    assert found.change.synthesis_settings == {"steps": 200}  # of 100
    assert of("batchnorm-gap", of_images(far, distance=0.29)) == []
    assert of("batchnorm-gap", of_images(far, distance=None)) == []
    assert of("batchnorm-gap", of_images(far, synthesis="noise"))[0].change.synthesis == "genie"
    assert of("batchnorm-gap", of_images(far, optimised=False))[0].change is None
    assert of("batchnorm-gap", of_images(far, steps=0))[0].change is None


def wild(record, path, images, ratio, gain=1.0):
    found = Wild(images=images, step_ratio=ratio, gain_db=gain)
    return with_layer(with_input(record, path, wild=found), path, weights_db=200.0)


def test_an_image_sets_ranges_where_a_step_is_half_as_coarse_again():
    assert told("image-range", wild(healthy(), "d", (7,), 1.49)) == []
    (found,) = of("image-range", wild(healthy(), "d", (7,), 1.5, gain=3.0))
    assert (found.layer, found.change.leave_out) == ("d", (7,))
    assert found.predicted_gain == pytest.approx(3.0, abs=0.01)
    assert "Image 7 of 64" in found.cause
    assert "of 0 more layers" in found.cause
    assert found.evidence["step_ratio"] == {"d": 1.5}


def test_the_layer_of_the_coarsest_step_is_named_with_the_images_that_half_of_the_layers_name():
    record = wild(healthy(), "b", (3, 1), 2.0)
    record = wild(record, "c", (3,), 4.0)
    record = wild(record, "d", (3, 5), 3.0)
    (found,) = of("image-range", wild(record, "e", (1,), 3.0))
    assert found.layer == "c"
    assert found.change.leave_out == (1, 3)  # of two and of three layers; image 5 of one
    assert "of 3 more layers" in found.cause
    assert found.change.words == "leave images 1, 3 out"


def test_a_quarter_of_the_images_can_be_outliers_and_more_cannot():
    for count, found in ((16, ["d"]), (17, [])):
        assert told("image-range", wild(healthy(), "d", tuple(range(count)), 2.0)) == found
    (eight,) = of("image-range", wild(healthy(), "d", tuple(range(8)), 2.0))
    assert ".." not in eight.cause
    (nine,) = of("image-range", wild(healthy(), "d", tuple(range(9)), 2.0))
    assert "0, 1, 2, 3, 4, 5, 6, 7, .." in nine.cause


def test_images_more_than_ten_times_as_large_as_the_median_are_wrong_in_themselves():
    record = wild(healthy(), "d", (62, 63), 2.0)
    for sizes, bright in (((10.1, 10.1), True), ((10.0, 10.0), False), ((1.0, 19.4), True)):
        of_sizes = of_images(record, sizes=np.array([1.0] * 62 + [*sizes]))
        assert of("image-range", of_sizes)[0].sure is bright
    assert of("image-range", of_images(record, sizes=np.full(63, 99.0)))[0].sure is False


FED = Fed(stem="a.bn", mean=(0.0,), std=(1.0,), std_ratio=0.35, mean_shift=1.2, distance=1.0, near=False,
          images=64, better="the network's own", better_mean=(0.3,), better_std=(0.4,),
          better_distance=0.49)  # fmt: skip


def test_a_normalisation_is_wrong_from_a_distance_of_1_and_another_proposed_at_less_than_half():
    (found,) = of("normalisation", replace(healthy(), fed=FED))
    assert (found.severity, found.sure) == ("red", True)
    assert found.change.model_settings == {"mean": [0.3], "std": [0.4]}
    assert not found.change.same_images
    less = replace(FED, distance=0.99)
    assert of("normalisation", replace(healthy(), fed=less))[0].severity == "yellow"
    for changes in ({"better_distance": 0.5}, {"better": ""}):
        assert (
            of("normalisation", replace(healthy(), fed=replace(FED, **changes)))[0].change is None
        )
    assert of("normalisation", replace(healthy(), fed=replace(FED, near=True))) == []


# --- what a layer reads -------------------------------------------------------------------------


def test_a_channel_of_an_input_is_an_outlier_from_six_times_the_median_that_is_alive():
    for largest, found in ((5.9, []), (6.0, ["d"])):
        channels = np.array([0.0] * 5 + [1.0, largest, 1.0])
        record = with_input(FOUR, "d", channels=channels)
        assert told("activation-outlier", record) == found
    assert told("activation-outlier", with_input(record, "d", bits=8)) == []
    two = with_input(record, "d", channels=np.array([0.0, 1.0, 60.0]))  # of two none is the median
    assert told("activation-outlier", two) == []
    (one,) = of("activation-outlier", with_layer(record, "d", weights_db=200.0))
    assert one.predicted_gain == pytest.approx(4 * BIT_DB, abs=0.01)
    assert (one.evidence["channel"], one.evidence["ratio"]) == (6, 6.0)


def test_of_the_readers_of_one_grid_the_first_is_told():
    channels = np.array([1.0] * 7 + [60.0])
    record = with_input(with_input(FOUR, "c", channels=channels), "d", channels=channels)
    assert set(told("activation-outlier", record)) == {"c", "d"}
    shared = with_input(with_input(record, "c", owner="block"), "d", owner="block")
    assert told("activation-outlier", shared) == ["c"]


def test_a_branch_eight_times_smaller_is_told_where_it_is_past_the_cliff_and_bits_are_few():
    for sizes, found in (((1.0, 8.0), ["d"]), ((1.0, 7.9), []), ((0.0, 8.0), [])):
        meeting = Meeting(kind="addition", sizes={"b": sizes[0], "c": sizes[1]})
        record = with_layer(FOUR, "d", meeting=meeting)
        assert told("unequal-branches", record) == found
        assert told("unequal-branches", with_input(record, "d", bits=8)) == []
    three = Meeting(kind="addition", sizes={"a": 3.0, "b": 10.0, "c": 1.0})
    (found,) = of("unequal-branches", with_layer(FOUR, "d", meeting=three, weights_db=None))
    assert "of c and b, which is 10 times as large" in found.cause
    assert found.evidence["left_db"] == pytest.approx(25 - 10 * np.log10(9 + 100 + 1))
    (found,) = of("unequal-branches", with_layer(FOUR, "d", meeting=three, weights_db=200.0))
    assert found.predicted_gain == pytest.approx(4 * BIT_DB, abs=0.01)
    assert found.change.activation_bits == {"d": 8}


def test_half_of_the_levels_are_lost_where_little_lies_below_zero_and_the_grid_is_even():
    record = with_input(FOUR, "d", least=-1.0, largest=4.0, low=-4.0, high=4.0)
    assert told("negative-values", record) == ["d"]
    (found,) = of("negative-values", with_layer(record, "d", weights_db=200.0))
    assert found.predicted_gain == pytest.approx(BIT_DB, abs=0.01)
    assert told("negative-values", with_input(record, "d", low=-3.6)) == ["d"]  # 0.9 of 4
    small = with_input(FOUR, "d", least=-0.1, largest=0.5, low=-0.5, high=0.5)
    assert told("negative-values", small) == ["d"]
    for changes in (
        {"least": -1.01}, {"least": 0.0}, {"least": 1.0}, {"low": -3.5}, {"low": 0.0, "high": 0.0},
        {"bits": 8}, {"largest": 0.0},
    ):  # fmt: skip
        assert told("negative-values", with_input(record, "d", **changes)) == [], changes


def test_a_grid_is_cut_short_where_another_rule_s_is_two_decibels_better_and_it_clips():
    record = with_input(
        FOUR, "d", low=-2.8, high=1.0, least=-4.0, largest=3.0, clipped=0.1, sqnr_db=18.0,
        by_rule={"mse": 30.0, "min-max": 20.0, "percentile": 19.0},
    )  # fmt: skip
    (found,) = of("clipped-range", with_layer(record, "d", weights_db=200.0))
    assert found.change.quantization_settings == {"activation_range": "min-max"}
    assert found.predicted_gain == pytest.approx(2.0, abs=0.01)
    assert (found.evidence["reach"], found.evidence["largest"]) == (2.8, 4.0)
    assert told("clipped-range", with_input(record, "d", low=-2.9)) == []  # 0.7 of 4 is 2.8
    assert told("clipped-range", with_input(record, "d", sqnr_db=18.1)) == []


# --- the outcome --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "band", "found"),
    [(0.1, (0.01, 0.2), True), (0.1, None, True), (0.1, (0.0, 0.2), False), (0.0, None, False),
     (-0.1, None, False), (None, None, False)],
)  # fmt: skip
def test_learning_did_harm_where_nearest_is_better_beyond_chance(gain, band, found):
    record = replace(healthy(), learns=True, nearest_gain=gain, nearest_band=band)
    assert bool(of("learning-harm", record)) is found
    assert of("learning-harm", replace(record, learns=False)) == []
    if found:
        assert of("learning-harm", record)[0].change.quantization == "nearest"
        other = replace(record, loss=Loss(value=0.2, unit="dB", images=64))
        assert of("learning-harm", other)[0].unit == "dB of the outputs"
        assert of("learning-harm", record)[0].unit == "KL"


def test_learning_is_proposed_where_the_median_layer_has_four_bits_and_the_loss_is_sick():
    record = replace(FOUR, loss=Loss(value=0.05, unit="KL", images=64))
    (found,) = of("nearest-rounding", record)
    assert found.evidence["bits"] == 4
    assert found.change.quantization == "quantoscope"
    for changes in (
        {"learns": True}, {"quantization": "gptq"}, {"loss": Loss(value=0.049, unit="KL", images=64)},
        {"loss": Loss(value=0.009, unit="dB", images=64)},
    ):  # fmt: skip
        assert of("nearest-rounding", replace(record, **changes)) == [], changes
    assert of("nearest-rounding", replace(record, loss=Loss(value=0.01, unit="dB", images=64)))
    five = replace(record, layers=tuple(replace(one, weight_bits=5) for one in record.layers))
    assert of("nearest-rounding", five) == []
    split = record
    for path in "bcd":
        split = with_layer(split, path, weight_bits=3)
    split = with_layer(split, "e", weight_bits=5)  # 3 3 3 5 8 8: the upper middle
    assert of("nearest-rounding", split) == []


def test_what_is_no_number_comes_first_of_all_and_is_sure():
    record = replace(FOUR, not_finite=("e",), fed=replace(FED, distance=9.0))
    first = findings_of(record)[0]
    assert (first.rule, first.layer, first.severity, first.sure) == ("not-finite", "e", "red", True)
    (broke,) = of("not-finite", replace(healthy(), failed="it broke."))
    assert broke.cause.startswith("it broke. Check")
    assert broke.layer == ""
