"""How the doctor's predictions are counted, and which of its changes are tried."""

import json

import pytest

from engine.models.card import ASSETS
from engine.run.benches.advice.file import FILE, by_rule, held, read, rows_of, tried_of, verdict
from engine.run.benches.advice.measure import CHANGES, chosen, shares


def row(predicted, measured, low=None, high=None, rule="few-bits"):
    return {
        "rule": rule, "layer": "fc", "change": f"give fc {predicted} more", "run": "r",
        "unit": "share of the KL",
        "predicted": predicted, "measured": measured,
        "low": predicted - 0.1 if low is None else low, "high": predicted + 0.1 if high is None else high,
    }  # fmt: skip


def a_file(*runs):
    named = [
        {"model": f"net {k % 2}", "quantization": "nearest", "bits": "W3A3", "tried": list(rows)}
        for k, rows in enumerate(runs)
    ]
    return {
        "date": "2026-11-27 12:00", "command": "python -m engine bench advice",
        "images": {"calibration": 32}, "versions": {"torch": "2.13.0"}, "runs": named,
    }  # fmt: skip


def finding(rule, words, gain=0.1, unit="KL"):
    return {
        "rule": rule, "layer": "fc", "severity": "red", "change": {"words": words},
        "predicted_gain": gain, "band": [gain - 0.02, gain + 0.02], "unit": unit,
    }  # fmt: skip


class TestVerdict:
    def test_counts_by_hand(self):
        found = verdict(
            a_file(
                [row(0.1, 0.15), row(0.4, 0.32), row(0.8, 0.5), row(0.2, -0.1)],
                [row(0.3, 0.3), row(0.5, 0.42), row(0.6, 0.35)],
            )
        )
        assert (found.tried, found.networks, found.runs) == (7, 2, 2)
        assert found.held == 4  # 0.15 at 0.1, 0.32 at 0.4, 0.3 at 0.3, 0.42 at 0.5
        assert found.right == found.helped == 6
        # Ranks of the first run: predicted 1 3 4 2, measured 2 3 4 1; of the second 1 2 3 and 1 3 2.
        assert found.within == pytest.approx(((1 - 6 * 2 / 60) + (1 - 6 * 2 / 24)) / 2)

    def test_a_band_holds_what_lies_on_its_edge(self):
        assert held(row(0.1, 0.2, 0.0, 0.2))
        assert not held(row(0.1, 0.21, 0.0, 0.2))
        assert not held(row(0.1, -0.01, 0.0, 0.2))

    def test_a_predicted_harm_that_came_is_right_and_no_help(self):
        found = verdict(a_file([row(-0.1, -0.2)]))
        assert (found.right, found.helped, found.rank, found.within) == (1, 0, None, None)

    def test_rules_are_counted_apart(self):
        rows = [row(0.1, 0.1), row(0.2, 0.2), row(0.3, -0.2, rule="equalise")]
        assert by_rule(a_file(rows)) == [
            {"rule": "few-bits", "tried": 2, "helped": 2, "held": 2},
            {"rule": "equalise", "tried": 1, "helped": 0, "held": 0},
        ]

    def test_the_table_names_every_change_and_ends_with_the_verdict(self):
        head, first, last = rows_of(a_file([row(0.5, 0.25)]))
        assert dict(zip(head, first, strict=True)) == {
            "network": "net 0", "quantizer": "nearest", "bits": "W3A3", "rule": "few-bits", "layer": "fc",
            "predicted": "50\N{NO-BREAK SPACE}%",
            "band": "40\N{NO-BREAK SPACE}% to 60\N{NO-BREAK SPACE}%",
            "measured": "25\N{NO-BREAK SPACE}%", "held": "no",
        }  # fmt: skip
        assert last[1] == "band held in 0 of 1, direction right in 1"


class TestChosen:
    def test_one_of_each_rule_comes_before_a_second(self):
        found = [finding("bits", f"bits {k}") for k in range(8)] + [
            finding("range", "another range")
        ]
        names = [one["change"]["words"] for one in chosen(found)]
        assert names == ["bits 0", "another range", "bits 1", "bits 2", "bits 3", "bits 4"]
        assert len(names) == CHANGES

    def test_what_cannot_be_held_against_a_measurement_is_left_out(self):
        alike = [finding("bits", "same"), finding("edge", "same")]
        none = finding("dead", "nothing") | {"change": None}
        untold = finding("images", "more") | {"predicted_gain": None, "band": None, "unit": ""}
        other = finding("input", "shift", unit="top1")
        assert chosen([*alike, none, untold, other]) == alike[:1]


def test_gains_are_shares_of_the_loss_of_the_same_images():
    told = shares(
        finding("bits", "words", gain=0.1), {"run": "r", "measured_gain": 0.3}, seen=0.5, whole=0.6
    )
    assert told["predicted"] == pytest.approx(0.2)
    assert (told["low"], told["high"]) == pytest.approx((0.16, 0.24))
    assert told["measured"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.pop("date"),
        lambda file: file["runs"][0]["tried"][0].update(low=float("nan")),
        lambda file: file["runs"][0]["tried"][0].update(rule=3),
        lambda file: file["runs"][0]["tried"][0].pop("measured"),
        lambda file: file.update(runs=7),
    ],
)
def test_a_file_that_is_none_is_as_if_absent(spoil, tmp_path):
    file = a_file([row(0.5, 0.25)])
    (tmp_path / FILE).write_text(json.dumps(file))
    assert read(tmp_path) == file
    spoil(file)
    (tmp_path / FILE).write_text(json.dumps(file))
    assert read(tmp_path) is None


def test_what_is_shipped_is_of_many_changes_on_many_networks():
    result = read(ASSETS)
    assert result is not None
    found = verdict(result)
    assert found.tried >= 40
    assert found.networks >= 6
    assert found.rank is not None
    assert all(row["low"] <= row["predicted"] <= row["high"] for row in tried_of(result))
