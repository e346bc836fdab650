"""Answers kept as digits, and what two runs' answers say of each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.paired import drop_between, drop_of, packed

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


@given(ANSWERS)
def test_what_is_kept_tells_how_many_changed(pairs):
    first, second = zip(*pairs, strict=True)
    drop = drop_between(packed(first), packed(second), len(pairs))
    assert drop.lost == sum(a and not b for a, b in pairs)
    assert drop.won == sum(b and not a for a, b in pairs)
    assert drop.share == pytest.approx((sum(first) - sum(second)) / len(pairs))


def test_answers_are_hexadecimal_digits():
    assert packed([True, False, True, True, False]) == "16"
    assert packed([False] * 9) == "0"


def test_a_drop_is_sure_where_all_changes_go_one_way():
    # (10.5 - 0.5) / 1002 = .00998, ± 1.96 sqrt(11 - 100 / 1002) / 1002 = .00646
    drop = drop_of(10, 0, 1000)
    assert drop.band == pytest.approx((0.00352, 0.01644), abs=2e-5)
    low, high = drop_of(5, 5, 1000).band
    assert low == -high
