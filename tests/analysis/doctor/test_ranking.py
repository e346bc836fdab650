"""Which finding comes first: by severity, then what is sure, then by the share of the loss."""

import math
from dataclasses import replace

import pytest

from engine.analysis.doctor import discover_rules
from engine.analysis.doctor.finding import Change, Finding
from engine.analysis.doctor.ranking import ranked, share_of, weighed
from engine.analysis.doctor.record import BIT_DB, Loss
from engine.analysis.doctor.rule import severity_of
from tests.analysis.doctor.records import layer

LOSS = Loss(value=0.4, unit="KL", images=64)
PLAIN = Finding(
    cause="", severity="red", evidence={}, rule="few-bits", unit="KL", predicted_gain=0.1
)


def order_of(*findings, loss=LOSS):
    named = [replace(one, title=str(k)) for k, one in enumerate(findings)]
    return [int(one.title) for one in ranked(named, loss)]


def test_severity_is_before_all_else():
    note, yellow = replace(PLAIN, severity="note"), replace(PLAIN, severity="yellow")
    assert order_of(
        replace(note, predicted_gain=0.4), yellow, replace(PLAIN, predicted_gain=0)
    ) == [2, 1, 0]


def test_a_red_cause_that_is_sure_is_before_larger_gains_and_one_that_is_yellow_is_not():
    more, sure = replace(PLAIN, predicted_gain=0.3), replace(PLAIN, sure=True, predicted_gain=None)
    assert order_of(more, sure) == [1, 0]
    assert order_of(more, PLAIN, sure) == [2, 0, 1]
    pale = [replace(one, severity="yellow") for one in (more, sure)]
    assert order_of(*pale) == [0, 1]


def test_a_sure_cause_that_hurts_a_layer_counts_as_the_worst_found_there():
    there = replace(PLAIN, layer="d", predicted_gain=0.2)
    less = replace(PLAIN, layer="d", predicted_gain=0.1)
    cause = replace(PLAIN, severity="yellow", sure=True, hurts="d", layer="bn", predicted_gain=None,
                    rule="tiny-variance")  # fmt: skip
    other = replace(PLAIN, layer="e", predicted_gain=0.15)
    found = ranked([less, other, there, cause], LOSS)
    assert [(one.layer, one.severity, one.predicted_gain) for one in found] == [
        ("bn", "red", None), ("d", "red", 0.2), ("e", "red", 0.15), ("d", "red", 0.1),
    ]  # fmt: skip
    assert ranked([cause], LOSS)[0].severity == "yellow"


def test_the_share_of_the_loss_decides_and_a_change_of_many_layers_counts_half():
    few, more = replace(PLAIN, predicted_gain=0.1), replace(PLAIN, predicted_gain=0.12)
    assert order_of(few, more) == [1, 0]
    wide = replace(more, wide=True)
    assert order_of(wide, few) == [1, 0]
    assert order_of(replace(few, predicted_gain=0.05), wide) == [1, 0]  # 0.12 / 2 is more


def test_shares_that_differ_by_less_than_a_hundredth_are_alike_and_the_cause_comes_first():
    rules = discover_rules()
    late = replace(PLAIN, rule="past-cliff", predicted_gain=0.1010)  # a share of 0.2525
    assert rules["few-bits"].order < rules["past-cliff"].order
    assert order_of(late, replace(PLAIN, predicted_gain=0.1015)) == [1, 0]  # 0.2538: both 0.25
    assert order_of(late, replace(PLAIN, predicted_gain=0.1000)) == [1, 0]
    assert order_of(late, replace(PLAIN, predicted_gain=0.0960)) == [0, 1]  # 0.24


def test_of_one_rule_the_layer_that_gains_most_decibels_is_first_and_none_is_least():
    a, b, none = (
        replace(PLAIN, unit="dB of the layer", predicted_gain=gain) for gain in (3.0, 9.0, None)
    )
    assert order_of(a, none, b) == [2, 0, 1]
    assert order_of(none, replace(a, predicted_gain=0.5), loss=None) == [1, 0]
    # Without a loss gains are no shares of one.
    assert order_of(replace(PLAIN, rule="past-cliff", predicted_gain=0.4), a, loss=None) == [1, 0]


@pytest.mark.parametrize(
    ("unit", "gain", "loss", "share"),
    [("KL", 0.1, 0.4, 0.25), ("KL", 0.1, 0.0, 0.0), ("KL", 0.1, -0.1, 0.0), ("KL", None, 0.4, 0.0),
     ("dB of the outputs", 10.0, 0.4, 0.9), ("dB of the outputs", 0.0, 0.4, 0.0),
     ("dB of the layer", 10.0, 0.4, 0.0), ("top1", 0.5, 0.4, 0.0)],
)  # fmt: skip
def test_a_share_is_of_the_loss_where_the_gain_is_of_the_network(unit, gain, loss, share):
    one = replace(PLAIN, unit=unit, predicted_gain=gain)
    assert share_of(one, replace(LOSS, value=loss)) == pytest.approx(share)


def test_a_loss_is_told_in_its_own_unit_and_a_bit_is_a_factor_of_two():
    assert abs(BIT_DB - 20 * math.log10(2)) < 1e-3
    assert LOSS.words == "a KL of 0.4"
    assert replace(LOSS, unit="dB").words == "40 % of the outputs' signal"


@pytest.mark.parametrize(
    ("gain", "low", "loss", "severity"),
    [(0.25, 0.1, 1.0, "red"), (0.24, 0.1, 1.0, "yellow"), (0.05, 0.01, 1.0, "yellow"),
     (0.049, 0.01, 1.0, "note"), (0.5, 0.0, 1.0, "note"), (0.5, None, 1.0, "red"),
     (0.05, 0.01, 0.05, "red"), (0.049, 0.01, 0.049, "note")],
)  # fmt: skip
def test_a_quarter_of_the_loss_is_red_and_a_twentieth_yellow(gain, low, loss, severity):
    band = None if low is None else (low, 1.0)
    one = replace(PLAIN, severity="yellow", predicted_gain=gain, band=band)
    assert weighed(one, replace(LOSS, value=loss)).severity == severity


def test_what_is_sure_is_never_called_less_and_what_is_not_of_the_network_stays():
    chance = replace(PLAIN, sure=True, severity="yellow", predicted_gain=0.3, band=(-0.1, 0.5))
    assert weighed(chance, LOSS).severity == "yellow"
    assert weighed(replace(chance, band=None), LOSS).severity == "red"
    for unit, gain in (("dB of the layer", 0.0), ("KL", None), ("top1", 0.0)):
        assert weighed(replace(PLAIN, unit=unit, predicted_gain=gain), LOSS).severity == "red"
    outputs = replace(PLAIN, unit="dB of the outputs", predicted_gain=0.1)  # a share of 0.023
    assert weighed(outputs, Loss(value=0.1, unit="dB", images=9)).severity == "note"


@pytest.mark.parametrize(
    ("gain", "db", "severity"),
    [(6.0, 19.9, "red"), (6.0, 20.0, "yellow"), (5.9, 19.9, "yellow"), (2.0, 19.9, "yellow"),
     (1.9, 1.0, "note"), (None, 1.0, "yellow"), (6.0, None, "red")],
)  # fmt: skip
def test_a_layer_s_gain_is_red_from_half_of_its_error_and_past_its_cliff(gain, db, severity):
    assert (
        severity_of(layer("a", db=db or 1.0) if db else replace(layer("a"), sqnr_db=None), gain)
        == severity
    )


def test_a_change_says_whether_the_run_s_images_serve_again_and_whether_only_bits_differ():
    bits = Change(words="", weight_bits={"a": 8}, activation_bits={"a": 8})
    assert bits.same_images
    assert bits.only_bits
    for changes in ({"synthesis": "genie"}, {"synthesis_settings": {"steps": 2}}, {"images": 64},
                    {"model_settings": {"form": "fused"}}):  # fmt: skip
        assert not replace(bits, **changes).same_images
        assert not replace(bits, **changes).only_bits
    for changes in ({"quantization": "nearest"}, {"quantization_settings": {"equalise": True}},
                    {"leave_out": (3,)}):  # fmt: skip
        assert replace(bits, **changes).same_images
        assert not replace(bits, **changes).only_bits


def test_a_finding_as_plain_values_gives_its_change_back():
    change = Change(words="w", leave_out=(3, 4), activation_bits={"a": 8})
    plain = replace(PLAIN, change=change, band=(0.1, 0.2)).plain()
    assert (plain["band"], plain["change"]["leave_out"]) == ([0.1, 0.2], [3, 4])
    assert Change.of(plain["change"]) == change
    assert (PLAIN.plain()["band"], PLAIN.plain()["change"]) == (None, None)
