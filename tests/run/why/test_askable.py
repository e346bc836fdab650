"""How long an answer takes is told by how long the run took to judge."""

import pytest

from engine.run.questions.why.askable import START_S, expected_s
from engine.run.stages.synthesis.reuse import OTHERS
from tests.run.toy_runs import RECIPE, begun

JUDGED = {"agreement": 0.9, "size_bytes": {}, "layers": [], "test_images": 10_000}


@pytest.fixture
def folder(tmp_path):
    folder = begun(tmp_path / "runs", RECIPE)
    folder.finish(JUDGED | {"seconds": {"evaluation": 40.0}})
    return folder


def test_predictions_take_as_long_as_judging_did_and_a_little(folder):
    judged = expected_s(folder, "predictions", 20) - START_S
    assert 40 < judged < 45


def test_more_layers_take_longer_in_proportion(folder):
    few, more, most = (expected_s(folder, "bits", layers) for layers in (10, 20, 30))
    assert most - more == pytest.approx(more - few)
    assert more > few


def test_a_run_that_did_not_say_how_long_it_judged_promises_nothing(tmp_path):
    folder = begun(tmp_path / "runs", RECIPE)
    assert expected_s(folder, "explain", 5) is None
    folder.finish(JUDGED | {"seconds": {}})
    assert folder.result() is not None
    assert expected_s(folder, "explain", 5) is None


def test_a_run_that_made_the_images_it_was_judged_on_promises_nothing(folder):
    assert expected_s(folder, "explain", 5) is not None
    (folder.path / OTHERS).touch()
    assert expected_s(folder, "explain", 5) is None
