"""The components as Python functions: each mounts one script of these folders with plain data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from app.charts.style import LiveFigure
from app.server.files import ui_version

_HERE = Path(__file__).parent
_PLOT = '<div class="qs-plot">\n</div>\n'
_TITLED_PLOT = '<div class="qs-title">\n</div>\n' + _PLOT


def _component(folder: str, name: str, *, html: str, css: str, isolated: bool) -> Any:
    # The script given to Streamlit only fetches the real module: modules that are fetched by
    # address are one and the same for all components, so that they share one connection. What is
    # clicked on before the module is here is clicked on again once it is.
    script = f"""
const module = import(new URL("/api/ui/{ui_version()}/{folder}/{name}.js", window.location.origin));
export default function (component) {{
  const kept = {{ stop: null, over: false }};
  const early = [];
  const keep = (click) => early.push(click.target);
  component.parentElement.addEventListener("click", keep);
  module.then((loaded) => {{
    component.parentElement.removeEventListener("click", keep);
    if (kept.over) return;
    kept.stop = loaded.render(component);
    for (const target of early) target.click();
  }});
  return () => {{ kept.over = true; if (kept.stop) kept.stop(); }};
}}
"""
    return st.components.v2.component(
        f"quantoscope_{name}", html=html, css=css, js=script, isolate_styles=isolated
    )


def _registered() -> dict[str, Any]:
    plot_css = (_HERE / "plots" / "plot.css").read_text()
    mounts = {
        # Plotly's own styles go to the page's head, so its charts live outside a shadow root.
        name: _component("plots", name, html=html, css=plot_css, isolated=False)
        for name, html in (("live_plot", _PLOT), ("channels", _TITLED_PLOT))
    }
    slider_css = (_HERE / "slider.css").read_text()
    for path in sorted(_HERE.glob("*/*.html")):
        css = slider_css + path.with_suffix(".css").read_text()
        mounts[path.stem] = _component(
            path.parent.name, path.stem, html=path.read_text(), css=css, isolated=True
        )
    mounts["pulse"] = _component(
        "steering", "pulse", html="<span></span>\n", css="\n", isolated=True
    )
    return mounts


_MOUNTS = _registered()


def live_plot(chart: LiveFigure, *, key: str, run: str, offset: int, **more: Any) -> Any:
    """The chart; more: `live` (goes on by the stream), `cursor` (line or reveal), `pick` (clicks), `follows`.

    What was just clicked on, else None: a `pick` of "category" returns the category (a layer, say), one of
    "cell" the layer and step of a map. One that `follows` the faders is drawn anew while they move: "sqnr" or
    "front".
    """
    data = {
        "run": run,
        "name": key,
        "offset": offset,
        "figure": chart.figure,
        "bindings": chart.bindings,
        "alt": chart.alt,
        "live": False,
        "cursor": "",
        "pick": False,
        "follows": "",
    }
    result = _MOUNTS["live_plot"](key=key, data=data | more, on_pick_change=lambda: None)
    return result.pick


def channels(chart: LiveFigure, *, key: str, **data: Any) -> None:
    """The channels of the layer and step that the page looks at."""
    _MOUNTS["channels"](
        key=key, data={"figure": chart.figure, "alt": chart.alt, "name": key} | data
    )


def film(*, key: str, **data: Any) -> None:
    """The wall of images and the strip to scrub."""
    _MOUNTS["film"](key=key, data=data)


def controls(*, key: str, **data: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """State, progress, tabs and buttons; returns the wish of a button and the tab just pressed, else None."""
    result = _MOUNTS["controls"](
        key=key, data=data, on_wish_change=lambda: None, on_tab_change=lambda: None
    )
    return result.wish, result.tab


def pulse(*, live: bool, key: str = "pulse", every_s: float = 0.0, **watched: Any) -> None:
    """Nothing to see; draws the page again as long as it is `live`, in a dialog the dialog alone.

    In no other fragment: see pulse.js. Every so often, or with `run`, `offset` and `state` when events of
    these `kinds` come behind the offset or the run ends or goes on.
    """
    data = {"run": "", "kinds": [], "live": live, "every_s": every_s} | watched
    _MOUNTS["pulse"](key=key, data=data, on_beat_change=lambda: None)


def network_map(*, key: str, **data: Any) -> str | None:
    """The map of a network; returns the layer just clicked on, else None."""
    result = _MOUNTS["network_map"](key=key, data=data, on_pick_change=lambda: None)
    pick: str | None = result.pick
    return pick


def bits(*, key: str, **data: Any) -> None:
    """The slider over what was measured at each number of bits; it answers in the browser."""
    _MOUNTS["bits"](key=key, data=data)


def fader(*, key: str, moved: Callable[[dict[str, str]], None], **data: Any) -> None:
    """Faders of bits with what they lead to; `moved` is told of each release, before the page is run again.

    moved: takes {"bits": as in the address, "scope": "network" or "layer"}.
    """

    def told() -> None:
        move = st.session_state[key].move
        if move:
            moved(move)

    _MOUNTS["fader"](key=key, data=data, on_move_change=told)


def tiles(*, key: str, **data: Any) -> None:
    """A row of images with what the network takes each for."""
    _MOUNTS["tiles"](key=key, data=data)
