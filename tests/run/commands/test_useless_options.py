"""Options that are empty, or change nothing as they are given: refused in a line, before anything is done."""

import pytest

from engine.__main__ import main

USELESS = [
    (["bits", "RUN", "--at", ""], "--at is empty"),
    (["bits", "RUN", "--at", "  "], "--at is empty"),
    (["doctor", "RUN", "--try", ""], "--try is empty"),
    (["doctor", "RUN", "--layer", "fc"], "--layer 'fc' is given without --try"),
    (["doctor", "RUN", "--layer", ""], "--layer is empty"),
    (
        ["doctor", "RUN", "--try", "all", "--layer", "nope"],
        "--layer 'nope' is given with --try all",
    ),
    (["doctor", "RUN", "--try", "bits", "--layer", ""], "--layer is empty"),
    (["export", "RUN", "--report", "--out", ""], "--out is empty"),
    (["export", "RUN", "--report", "--out", " "], "--out is empty"),
]


@pytest.mark.parametrize(("words", "told"), USELESS)
def test_it_is_refused_in_a_line_with_a_way_out(words, told, tmp_path, capsys):
    assert main([*words, "--runs", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(told)
    assert printed.err.count("\n") == 1
    assert "; " in printed.err


@pytest.mark.parametrize(
    "words",
    [["bits", "RUN", "--at", '{"weight_bits": {"fc": 4}}'], ["doctor", "RUN", "--try", "all"],
     ["doctor", "RUN"], ["doctor", "RUN", "--try", "bits", "--layer", "fc"],
     ["export", "RUN", "--report", "--out", "there"]],
)  # fmt: skip
def test_what_says_something_gets_as_far_as_the_run(words, tmp_path, capsys):
    assert main([*words, "--runs", str(tmp_path)]) == 2
    assert "RUN" in capsys.readouterr().err
