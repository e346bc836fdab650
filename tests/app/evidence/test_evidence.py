"""The page Evidence: chips that follow the seeds, every term explained once."""

from pathlib import Path

from app.panels.evidence.claims import HOLDS, NOTHING, chip_of
from app.panels.evidence.glossary import matching
from app.text import GLOSSARY, explain
from tests.app.test_pages import opened, texts


def row(method: list[float], baseline: list[float]) -> dict[str, object]:
    return {"values": {"method": method, "baseline": baseline}, "lower": False}


def test_a_chip_says_holds_only_where_every_seed_does() -> None:
    assert chip_of(row([2, 3], [1, 2])) == HOLDS
    assert chip_of(row([2, 1], [1, 2])) == NOTHING
    assert chip_of(row([1, 1], [1, 1])) == NOTHING  # a tie is no gain


def test_own_recipe_is_first_then_claims_one_opened_at_a_time(runs: Path) -> None:
    at = opened("evidence")
    assert "our own recipe" in at.header[0].value
    at = opened("evidence", of="resnet20-fashion")
    assert len(at.get("bidi_component")) == 1
    assert "holds" in texts(at)
    assert "no gain here" in texts(at)
    assert "0 not measured" not in texts(at)


def test_every_claim_of_a_quantizer_is_measured_and_its_control_told(runs: Path) -> None:
    at = opened("evidence", of="quantizers", claim="pwfn")
    assert "not measured" not in texts(at)
    assert "Made alike in entropy of all weights, bits a weight: 3.46" in texts(at)
    at = opened("evidence", of="quantizers", claim="vertical-lite")
    assert "16 images made from it, judged on 200." in texts(at)
    for claim in ("storage-lite", "factorization-tucker"):
        assert len(opened("evidence", of="quantizers", claim=claim).get("bidi_component")) == 1


def test_every_term_has_one_explanation_and_no_file_is_left_over() -> None:
    files = {file.stem for file in (Path(__file__).parents[3] / "app" / "text" / "terms").iterdir()}
    assert files == set(GLOSSARY)
    assert all(len(explain(term)) > 40 for term in GLOSSARY)
    assert len({explain(term) for term in GLOSSARY}) == len(GLOSSARY)


def test_the_search_finds_a_term_by_its_name_and_by_its_explanation() -> None:
    assert "sqnr-term" in matching("sqnr")
    assert "sqnr-term" in matching("decibels")
    assert matching("no such word at all") == []
    assert matching("") == list(GLOSSARY)
