// A Plotly chart that is drawn again, never mounted again: zoom and pointer stay where they are.

let loading = null;

export function loadPlotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", import.meta.url);
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
      if (!this.drawn || !window.Plotly || !this.root.isConnected) return;
      if (this.layout() !== this.shown) this.redraw();
      else window.Plotly.Plots.resize(this.root);
    });
    this.observer.observe(this.box);
  }

  set({ figure, alt }) {
    this.figure = structuredClone(figure);
    this.box.style.minHeight = `${this.layout().height}px`;
    this.box.setAttribute("role", "img");
    this.box.setAttribute("aria-label", alt || "");
    this.redraw();
  }

  // A chart of several panels has a second layout, for a narrow page.
  layout() {
    const { layout, narrow } = this.figure;
    const width = this.box.clientWidth;
    return narrow && width > 0 && width < narrow.below ? narrow.layout : layout;
  }

  // Many events in one frame are one drawing.
  redraw() {
    if (this.scheduled) return;
    this.scheduled = true;
    setTimeout(() => requestAnimationFrame(() => this.draw()), this.drawn ? 60 : 0);
  }

  async draw() {
    this.scheduled = false;
    const plotly = await loadPlotly();
    if (!this.root.isConnected || this.closed) return;
    const text = getComputedStyle(this.box).getPropertyValue("--st-text-color").trim();
    const layout = (this.shown = this.layout());
    this.box.style.minHeight = `${layout.height}px`;
    layout.font = { ...layout.font, color: text || "#888", family: getComputedStyle(this.box).fontFamily };
    layout.datarevision = ++this.revision;
    const config = { displaylogo: false, displayModeBar: "hover", modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
    await plotly.react(this.root, this.figure.data, layout, config);
    if (!this.drawn) {
      this.drawn = true;
      if (this.onClick) this.root.on("plotly_click", (click) => this.onClick(click.points[0]));
      this.root.on("plotly_afterplot", () => this.afterDraw());
    }
    this.afterDraw();
  }

  close() {
    this.closed = true;
    this.observer.disconnect();
    if (window.Plotly && this.drawn) window.Plotly.purge(this.root);
    this.root.remove();
  }
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
