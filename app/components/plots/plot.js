// A Plotly chart that is drawn again, never mounted again: zoom and pointer stay where they are.

import { rowsOf, save } from "./csv.js";
import { roomyMargins } from "./margins.js";

// What every chart of ours is drawn with. Nothing leaves the machine: no button that offers it, no address.
const CONFIG = {
  displaylogo: false,
  displayModeBar: window.matchMedia("(hover: none)").matches ? false : "hover", // a finger needs no toolbar over the chart
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["sendChartToCloud", "lasso2d", "select2d", "autoScale2d"],
};

const NAME_PX = 11; // a slanted name takes so much of the axis

let loading = null;

export function loadPlotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../plotly.min.js", import.meta.url);
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("the chart library could not be loaded"));
    document.head.append(script);
  });
  return loading;
}

export class Plot {
  constructor(parent, onClick) {
    this.box = parent.querySelector(".qs-plot");
    this.root = document.createElement("div");
    this.box.append(this.root);
    this.onClick = onClick;
    this.revision = 0;
    this.scheduled = false;
    this.afterDraw = () => {};
    this.observer = new ResizeObserver(() => {
      if (!this.drawn || !window.Plotly || !this.box.clientWidth) return; // not shown: of a tab that was left
      if (this.layout() !== this.shown || this.every(this.layout()) !== this.shownEvery) this.redraw();
      else window.Plotly.Plots.resize(this.root);
    });
    this.observer.observe(this.box);
  }

  // `later`: what it draws is still to come.
  set({ figure, alt, waiting, name }, { later = false } = {}) {
    this.figure = structuredClone(figure);
    [this.waiting, this.name] = [waiting, name];
    this.given = new Set(Object.keys(figure.layout).filter((name) => figure.layout[name]?.range || figure.layout[name]?.tickvals));
    this.box.style.minHeight = `${this.layout().height}px`;
    this.box.setAttribute("role", "img");
    this.box.setAttribute("aria-label", alt || "");
    if (!later) this.redraw();
  }

  // A chart of several panels has a second layout, for a narrow page.
  layout() {
    const { layout, narrow } = this.figure;
    const width = this.box.clientWidth;
    return narrow && width > 0 && width < narrow.below ? narrow.layout : layout;
  }

  // Of how many slanted names below a chart one has room: on a narrow page all of them would lie upon each other.
  every({ xaxis, margin }) {
    if (!xaxis?.ticktext || !xaxis.tickangle || !this.box.clientWidth) return 1;
    const room = this.box.clientWidth - (margin?.l || 0) - (margin?.r || 0);
    return Math.ceil((xaxis.ticktext.length * NAME_PX) / Math.max(room, NAME_PX));
  }

  // The chosen one, which is bold, always keeps its name, and its neighbours make room for it.
  thinned(layout) {
    const every = (this.shownEvery = this.every(layout));
    if (every === 1) return {};
    const { tickvals, ticktext } = layout.xaxis;
    const chosen = ticktext.findIndex((name) => name.startsWith("<b>"));
    const kept = tickvals.map((_, k) => k).filter((k) => k === chosen || (k % every === 0 && (chosen < 0 || Math.abs(k - chosen) >= every)));
    return { xaxis: { ...layout.xaxis, tickvals: kept.map((k) => tickvals[k]), ticktext: kept.map((k) => ticktext[k]) } };
  }

  // An axis on which nothing lies has no numbers: Plotly would invent some. Where all are so, a word says it.
  bare(layout) {
    const held = new Set();
    for (const trace of this.figure.data) {
      for (const side of ["x", "y"]) if (isFilled(trace)) held.add((trace[`${side}axis`] || side).replace(/^([xy])/, "$1axis"));
    }
    const changed = {};
    for (const [name, axis] of Object.entries(layout)) {
      if (/^[xy]axis\d*$/.test(name) && !held.has(name) && !this.given.has(name)) changed[name] = { ...axis, showticklabels: false, showgrid: false, ticks: "" };
    }
    if (held.size) return changed;
    const text = this.waiting || "nothing was recorded";
    const word = { text, showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5, opacity: 0.6 };
    return { ...changed, annotations: [...(layout.annotations || []).filter((one) => one.yref === "paper"), word] };
  }

  // Many events in one frame are one drawing.
  redraw(afterMs = this.drawn ? 60 : 0) {
    if (this.scheduled) return;
    this.scheduled = true;
    setTimeout(() => requestAnimationFrame(() => this.draw()), afterMs);
  }

  // The page was drawn again with nothing new for this chart: its letters may be of another theme, and a run that
  // ended brings nothing more.
  refresh({ waiting }) {
    this.waiting = waiting;
    if (this.drawn && this.letters().join() !== this.written) this.redraw();
  }

  letters() {
    const style = getComputedStyle(this.box);
    return [style.getPropertyValue("--st-text-color").trim() || "#888", style.fontFamily, this.waiting];
  }

  async draw() {
    this.scheduled = false;
    const plotly = await loadPlotly();
    if (!this.root.isConnected || this.closed) return;
    const letters = this.letters();
    const [color, family] = letters;
    this.written = letters.join();
    const layout = (this.shown = this.layout());
    this.box.style.minHeight = `${layout.height}px`;
    layout.font = { ...layout.font, color, family };
    layout.datarevision = ++this.revision;
    const shown = { ...layout, ...this.bare(layout), ...this.thinned(layout) };
    shown.margin = roomyMargins(shown, this.figure.data, family);
    const config = { ...CONFIG, modeBarButtonsToAdd: [(this.numbers ??= this.button(plotly))], ...this.figure.config };
    await plotly.react(this.root, this.figure.data, shown, config);
    if (!this.drawn) {
      this.drawn = true;
      if (this.onClick) this.root.on("plotly_click", (click) => this.onClick(click.points[0]));
      this.root.on("plotly_afterplot", () => this.afterDraw());
    }
    this.afterDraw();
  }

  // One for the life of the chart: another would have Plotly draw it from nothing.
  button(plotly) {
    return { name: "numbers", title: "The numbers as CSV", icon: plotly.Icons.disk, click: () => save(rowsOf(this.figure), this.name) };
  }

  close() {
    this.closed = true;
    this.observer.disconnect();
    if (window.Plotly && this.drawn) window.Plotly.purge(this.root);
    this.root.remove();
  }
}

// Whether a trace has anything to draw.
function isFilled(trace) {
  const holds = (list) => Array.isArray(list) && list.some((one) => (Array.isArray(one) ? holds(one) : one !== null && one !== undefined));
  const values = "z" in trace ? trace.z : "y" in trace ? trace.y : trace.x;
  return values === undefined || !Array.isArray(values) ? true : holds(values);
}

// One object for one place on the page, through all the reruns of the page.
export function keeper(make) {
  const kept = new WeakMap();
  return ({ data, parentElement, setTriggerValue }) => {
    let view = kept.get(parentElement);
    if (!view) kept.set(parentElement, (view = make(parentElement)));
    view.trigger = setTriggerValue;
    view.update(data);
    return () => {
      view.close();
      kept.delete(parentElement);
    };
  };
}
