// The channels of the layer looked at, at the step looked at: fetched when either changes.

import { bus } from "../steering/bus.js";
import { Plot, keeper } from "./plot.js";

class Channels {
  constructor(parent) {
    this.title = parent.querySelector(".qs-title");
    this.plot = new Plot(parent);
  }

  update(data) {
    const same = this.data && this.data.run === data.run;
    this.data = data;
    if (same) {
      if (!this.ready) this.title.textContent = data.waiting;
      return this.plot.refresh({ waiting: " " });
    }
    this.leave();
    this.asked = null;
    this.plot.set({ ...data, waiting: " " }, { later: data.ready }); // the title says it
    this.bus = bus(data.run);
    this.ready = data.ready;
    this.stops = [this.bus.listen(() => this.ready && this.soon())];
    const saved = (event) => {
      if (event.kind !== "snapshot-saved" || event.name !== "channels") return;
      if (this.bus.cursor === null || !this.ready) {
        this.asked = null;
        this.soon();
      }
      this.ready = true;
    };
    if (data.live) this.stops.push(this.bus.watch(data.offset, { event: saved }));
    if (data.ready) this.soon();
    else this.title.textContent = data.waiting;
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetch(), 80);
  }

  async fetch() {
    const { cursor, run } = this.bus;
    const layer = Math.max(0, this.data.layers.indexOf(this.bus.layer ?? this.data.layer));
    const name = this.data.layers[layer] ?? "";
    const path = `/api/runs/${encodeURIComponent(run)}/channels?layer=${layer}&step=${cursor === null ? -1 : Math.round(cursor)}`;
    if (path === this.asked) return; // the film and the page say the same, one after the other
    this.asked = path;
    const answer = await fetch(path).catch(() => null);
    if (!answer) this.asked = null;
    if (this.closed || !answer || path !== this.asked) return;
    if (!answer.ok) {
      this.title.textContent = await answer.text();
      return this.plot.redraw();
    }
    const found = await answer.json();
    this.title.textContent = `${name} · step ${found.step} · gap ${found.gap === null ? "not known" : found.gap.toPrecision(3)}`;
    for (const trace of this.plot.figure.data) {
      const [source, part] = trace.meta.fill.split(".");
      trace.y = found[source][part];
      trace.x = trace.y.map((_, channel) => channel);
    }
    this.plot.redraw();
  }

  leave() {
    for (const stop of this.stops || []) stop();
    this.stops = [];
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.leave();
    this.plot.close();
  }
}

export const render = keeper((parent) => new Channels(parent));
