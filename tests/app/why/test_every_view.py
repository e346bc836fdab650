"""Of a run every chart has its words, table its CSV, line of ours its source, question its definition."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import app
from app.charts.style import LiveFigure
from app.charts.why.provenance import SMALL_DB
from app.components import mount
from app.panels.images.ranges import MATTERS_DB
from app.panels.layers.drift import RANKS
from app.text import explain
from engine.analysis.layers import inside_words
from engine.run.folders.folder import RunFolder
from engine.run.questions.costs import layer_costs
from engine.run.questions.why import answers
from engine.run.questions.why.fewer_bits.fader import CLIFF_DB
from tests.app.fabricate import Fabricated, fabricate
from tests.app.one_run.test_layer_costs import BANDED
from tests.app.places import TABS
from tests.app.test_pages import opened
from tests.app.why.bits_found import FOUND as BITS
from tests.app.why.conftest import student_kept
from tests.app.why.test_costs import COSTS, MORE, PACKED, ROW
from tests.app.why.test_doctor import FOUND as DOCTOR
from tests.app.why.test_drift import FOUND as DRIFT
from tests.app.why.test_flips import FOUND as FLIPS
from tests.app.why.test_inside import FOUND as INSIDE
from tests.app.why.test_provenance import FOUND as ORIGINS
from tests.app.why.test_ranges import FOUND as RANGES
from tests.app.why.test_sensitivities import FOUND as RANKED

APP = Path(app.__file__).parent
MORE_OF = (  # all that can be unfolded
    "growth-more", "ranges-more", "layer-more", "fader-more", "fader-matrix", "blocks-more", "costs-more",
    "tensors-more", "similarity-more", "sensitivities-more", "doctor-more", "sureness-more", "storage-layers",
)  # fmt: skip
LAYER = "conv1"
FOUND: dict[str, dict[str, Any]] = {
    "explain": ORIGINS, "bits": BITS, "predictions": FLIPS, "ranges": RANGES, "similarity": DRIFT,
    "sensitivities": RANKED, "resources": COSTS, "doctor": DOCTOR,
    "storage": PACKED | {"layers": [ROW | {"lengths": [0, 500, 500]}]} | MORE,
}  # fmt: skip
ADDRESSES = (
    *((tab, {}) for tab in TABS),
    *(("layers", {"by": by}) for by in ("error", "origin")),
    *(("layers", {"inside": view}) for view in ("maps", "weights", "pairs")),
)


@pytest.fixture
def asked(runs: Path) -> RunFolder:
    """A run that was asked all that a page can ask."""
    folder = student_kept(fabricate(runs, Fabricated(views=True)))
    for command, found in FOUND.items():
        answers.answer(folder, command, lambda found=found: found | {"run": folder.run_id})
    answers.answer(folder, "tensors", lambda: INSIDE, layer=LAYER)
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, LiveFigure]:
    """Every chart that a page draws, by its place."""
    charts: dict[str, LiveFigure] = {}

    def kept(before: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(chart: LiveFigure, *, key: str, **more: Any) -> Any:
            charts[f"{key} {more.get('name', '')}"] = chart
            return before(chart, key=key, **more)

        return wrapped

    for name in ("live_plot", "channels"):
        monkeypatch.setattr(mount, name, kept(getattr(mount, name)))
    return charts


def pages(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> list[AppTest]:
    """The run at each address that shows something else, all of it unfolded."""
    monkeypatch.setattr(layer_costs, "kept", lambda _: BANDED)
    return [
        opened(tab, *MORE_OF, run=folder.run_id, layer=LAYER, **more) for tab, more in ADDRESSES
    ]


def test_every_chart_of_a_run_says_what_it_shows(
    asked: RunFolder, drawn: dict[str, LiveFigure], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages(asked, monkeypatch)
    assert len(drawn) >= 30
    silent = [place for place, chart in drawn.items() if not chart.alt.endswith(".")]
    assert silent == []
    said = [chart.alt for chart in drawn.values()]
    assert len(set(said)) >= len(said) - 6, "some charts have the words of another"


def test_every_title_that_asks_has_its_definition(
    asked: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in pages(asked, monkeypatch):
        titles = [*at.subheader, *(one for one in at.markdown if one.value.startswith("**"))]
        bare = [
            one.value for one in titles if one.value.strip("*").endswith("?") and not one.proto.help
        ]
        assert bare == []


def called(file: Path) -> set[str]:
    """The names of all that a file calls."""
    calls = (
        node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
    )
    return {ast.unparse(one) for one in calls}


LISTS = {
    "panels/networks/anatomy.py",
    "panels/networks/listed.py",
    "panels/runs/table.py",
}  # to choose from


def test_every_table_of_numbers_is_handed_out_as_csv() -> None:
    tables = {
        str(file.relative_to(APP)) for file in APP.rglob("*.py") if "st.dataframe" in called(file)
    }
    handed = {
        str(file.relative_to(APP)) for file in APP.rglob("*.py") if "csv_button" in called(file)
    }
    assert tables - handed == LISTS
    assert len(tables - LISTS) >= 9


@pytest.mark.parametrize(
    ("concept", "line", "source"),
    [
        ("fader", f"{CLIFF_DB:g} dB", "our own line"),
        ("cliff", f"{CLIFF_DB:g} dB", "our own line"),
        ("provenance", f"{SMALL_DB:g} dB", "our own line"),
        ("ranges", f"{MATTERS_DB:g} dB", "our own line"),
        ("similarity", f"{RANKS[0][0]:g}", "our own line"),
        ("similarity", f"{RANKS[1][0]:g}", "our own line"),
        ("weight-channels", f"{inside_words.TWO_BITS_DB:g} dB", "our own line"),
        ("tensors", f"{inside_words.TWO_BITS_DB:g} dB", "Our own lines"),
        ("sqnr", "red are errors", "measured"),
        ("layer", "Green, amber and red", "measured runs"),
        ("lost", "may be chance", "Agresti and Min 2005"),
        ("reliability", "ten bins", "Guo et al., ICML 2017"),
    ],
)  # fmt: skip
def test_every_line_between_good_and_bad_says_where_it_comes_from(
    concept: str, line: str, source: str
) -> None:
    text = explain(concept).replace("\N{NO-BREAK SPACE}", " ")
    assert line in text
    assert source in text
