"""Every chart and every table of the pages hands out its numbers as CSV."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.charts.layers.allocation import kernels
from app.charts.outcomes.results import Accuracy, accuracies
from tests.app.browser import MARKS, browsing, rest, served, until
from tests.app.fabricate import Fabricated, fabricate
from tests.app.places import TABS, address_of

APP = Path(__file__).parents[3] / "app"
TITLE = "The numbers as CSV"
VIEWS = (*TABS, "compare", "evidence")
OTHER_WAYS = r"\bst\.\w*_chart\(|\bst\.(pyplot|table|map)\(|altair|vega_lite"
KINDS = {"scatter", "bar", "heatmap", "histogram"}  # of traces, whose numbers are known to csv.js
NO_TRACES = {"category", "log", "data", "line", "rect"}  # of axes, bands and shapes
# Of each chart on the page: its buttons, how many places its traces have that are drawn, and its rows.
CHARTS = """async () => {
  const { rowsOf } = await import("/api/ui/test/plots/csv.js");
  const known = (one) => one !== null && one !== undefined;
  return [...document.querySelectorAll(".js-plotly-plot")].map((chart) => {
    const drawn = chart.data.filter((one) => one.hoverinfo !== "skip" || one.name);
    const held = drawn.map(({ z, x, y }) => z ? z.flat().filter(known).length
      : (y ?? x ?? []).filter((one, k) => known(one) && (!x || known(x[k]))).length);
    return { buttons: [...chart.querySelectorAll(".modebar-btn")].map((one) => one.dataset.title),
      held: held.reduce((a, b) => a + b, 0), traces: held.filter(Boolean).length, rows: rowsOf(chart) };
  });
}"""
CSV_OF = """async ([folder, figure]) => {
  const { csvOf, rowsOf } = await import(`${folder}/csv.js`);
  return csvOf(rowsOf(figure));
}"""


def scripts(*kinds: str) -> Iterator[tuple[Path, str]]:
    for kind in kinds:
        yield from ((path, path.read_text()) for path in sorted(APP.rglob(f"*.{kind}")))


def test_no_chart_and_no_table_is_drawn_but_by_what_hands_out_its_numbers() -> None:
    assert [path for path, text in scripts("py") if re.search(OTHER_WAYS, text)] == []
    drawing = {
        path.name for path, text in scripts("js") if re.search(r"lotly\.(react|newPlot)", text)
    }
    assert drawing == {"plot.js", "report.js"}
    # Drawn without Plotly: the slider of Start, and the map of a network, whose table stands below it.
    assert {path.parent.name for path, text in scripts("js") if "createElementNS" in text} == {
        "bits", "network_map",
    }  # fmt: skip
    for folder, name in (("plots", "plot"), ("bits", "bits")):
        assert "csv.js" in (APP / "components" / folder / f"{name}.js").read_text()
    written = [
        (path, text) for path, text in scripts("py") if "|:--" in text or 'st.html("".join' in text
    ]
    assert len(written) >= 3
    assert [path for path, text in written if "csv_button(" not in text] == []


def test_every_kind_of_trace_is_one_whose_numbers_are_known() -> None:
    text = "".join(path.read_text() for path in (APP / "charts").rglob("*.py"))
    assert set(re.findall(r'"?type"?[:=] ?"(\w+)"', text)) - NO_TRACES == KINDS


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """The app with two finished runs, of which all is known that a run without questions tells."""
    runs: Path = tmp_path_factory.mktemp("runs")
    one, other = (
        fabricate(runs, Fabricated(views=True, statistics=True, seed=seed)).run_id
        for seed in (0, 1)
    )
    with served(runs) as found:
        yield found, one, other


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with browsing() as found:
        yield found


class TestInABrowser:
    pytestmark = MARKS

    @pytest.mark.parametrize("view", VIEWS)
    def test_every_chart_of_a_page_has_the_button_and_a_row_for_each_of_its_points(
        self, page: Any, address: tuple[str, str, str], view: str
    ) -> None:
        where, *runs = address
        asked = {"runs": ",".join(runs)} if view == "compare" else {"run": runs[0]}
        page.goto(f"{where}/{address_of(view, **asked)}")
        page.locator(".js-plotly-plot .modebar-btn").first.wait_for(state="attached")
        rest(page)
        for closed in page.locator("[data-testid=stExpander] summary").all():
            closed.click()
            rest(page)
        until(lambda: all(one["buttons"] for one in page.evaluate(CHARTS)), "the buttons")
        charts = page.evaluate(CHARTS)
        assert charts
        for chart in charts:
            assert TITLE in chart["buttons"]
            assert len(chart["rows"]) == chart["held"]
            named = [row for row in chart["rows"] if row.get("series")]
            assert chart["traces"] < 2 or len(named) == len(chart["rows"]), chart["rows"][:3]
        assert any(chart["held"] for chart in charts)

    def test_a_press_hands_over_the_numbers_that_are_drawn(
        self, page: Any, address: tuple[str, str, str]
    ) -> None:
        where, run, _ = address
        page.goto(f"{where}/{address_of('images', run=run)}")
        chart = page.locator(".js-plotly-plot").first
        chart.locator(".modebar-btn").first.wait_for(state="attached")
        rest(page)
        chart.hover()
        with page.expect_download() as handed:
            chart.locator(f".modebar-btn[data-title='{TITLE}']").click()
        assert handed.value.suggested_filename == f"gap-{run}.csv"
        rows = list(csv.DictReader(Path(handed.value.path()).read_text().splitlines()))
        assert set(rows[0]) == {"step", "y", "gap", "colour"}
        steps = {int(row["step"]) for row in rows}
        assert {row["y"] for row in rows} == {"bn1", "layer1.0.bn1", "layer1.0.bn2"}
        assert len(rows) == 3 * len(steps)
        first = next(row for row in rows if row["y"] == "layer1.0.bn1" and row["step"] == "10")
        assert float(first["gap"]) == pytest.approx(2 * 2.718281828**-1, rel=1e-3)

    @pytest.mark.parametrize(
        ("figure", "head", "line"),
        [
            (accuracies([Accuracy(name="=1+1", top1=0.5, low=0.4, high=0.6, colour="#000")]).figure,
             ["series", "top-1", "y", "text"], ["measured", "0.5", "'=1+1", "50.0\u00a0%"]),
            (kernels({"kernels": {"layers": [
                {"path": 'a,"b"', "float_ms": 0.002, "int8_ms": 0.001, "runs": "int8"}]}}).figure,
             ["series", "x", "µs for one image"], ["in 8 bits", 'a,"b"', "1"]),
            ({"data": [{"type": "heatmap", "name": "A", "x": ["u", "v"], "y": ["&lt;b&gt;"], "z": [[None, 2]],
                        "xaxis": "x2"}],
              "layout": {"xaxis": {"title": {"text": "no"}}, "xaxis2": {"title": {"text": "A · step"}}}},
             ["series", "y", "step", "value"], ["A", "<b>", "v", "2"]),
            ({"data": [{"type": "bar", "x": ["a"], "y": [3], "base": [1], "customdata": [[1, None]],
                        "error_y": {"array": [1], "arrayminus": [0.5]}},
                       {"type": "scatter", "x": ["a"], "y": [9], "hoverinfo": "skip"}],
              "layout": {"yaxis": {"title": {"text": "size"}}}},
             ["x", "size", "bar from", "more", "low", "high"], ["a", "3", "1", "[1,null]", "2.5", "4"]),
        ],
    )  # fmt: skip
    def test_the_columns_are_the_axes_by_their_titles(
        self,
        page: Any,
        address: tuple[str, str, str],
        figure: Any,
        head: list[str],
        line: list[str],
    ) -> None:
        if not page.url.startswith(address[0]):
            page.goto(f"{address[0]}/api/health")
        text = page.evaluate(CSV_OF, [f"{address[0]}/api/ui/test/plots", figure])
        first, *lines = csv.reader(io.StringIO(text, newline=""))
        assert first == head
        assert lines[-1] == line

    def test_the_slider_of_start_hands_out_every_stop(
        self, page: Any, address: tuple[str, str, str]
    ) -> None:
        page.goto(address[0])
        button = page.locator(".course .numbers")
        with page.expect_download() as handed:
            button.click()
        rows = list(csv.DictReader(Path(handed.value.path()).read_text().splitlines()))
        assert {row["rounding"] for row in rows} == {"nearest", "learned"}
        assert len({(row["network"], row["bits"], row["rounding"]) for row in rows}) == len(rows)
        assert all(float(row["low"]) <= float(row["top1"]) <= float(row["high"]) for row in rows)
