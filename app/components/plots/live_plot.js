// A chart that the run's events extend, with the page's cursor drawn over it.

import { extend } from "./bindings.js";
import { moving, PAINTS } from "../fader/moving.js";
import { bus } from "../steering/bus.js";
import { Plot, keeper } from "./plot.js";

class LivePlot {
  constructor(parent) {
    this.plot = new Plot(parent, (point) => this.click(point));
    this.line = document.createElement("div");
    this.line.className = "qs-cursor";
    this.line.hidden = true;
    this.plot.box.append(this.line);
    this.plot.afterDraw = () => this.place();
  }

  update(data) {
    const same = this.data && this.data.run === data.run && this.data.name === data.name;
    const before = this.data;
    this.data = data;
    if (same && data.offset <= this.offset && data.live === before.live) return this.plot.refresh(data);
    this.leave();
    this.offset = data.offset;
    this.plot.set(data);
    this.bus = bus(data.run);
    this.stops = [this.bus.listen(() => this.place())];
    if (data.follows) this.follow(moving(data.run));
    if (data.live) this.stops.push(this.bus.watch(data.offset, { event: (event, at) => this.extend(event, at) }));
  }

  // While faders move, the page still stands where they were: what they say counts.
  follow(faders) {
    const paint = (now) => {
      PAINTS[this.data.follows](this.plot.figure, now);
      this.plot.redraw(0);
    };
    this.stops.push(faders.listen(paint));
    if (faders.now) paint(faders.now);
  }

  extend(event, at) {
    this.offset = at;
    if (extend(this.plot.figure, this.data.bindings, event)) this.plot.redraw();
  }

  click(point) {
    if (!this.data.pick) return;
    if (this.data.pick === "category") return this.trigger("pick", String(point.x));
    const looked = { cursor: Number(point.x), layer: String(point.y) };
    this.bus.look({ ...looked, url: this.data.pick !== "cell" });
    if (this.data.pick === "cell") this.trigger("pick", { layer: looked.layer, step: looked.cursor });
  }

  // The cursor lies over the chart as an element of its own: to move it costs no drawing.
  place() {
    const axes = this.plot.root._fullLayout;
    const cursor = this.bus.cursor;
    const wanted = this.data.cursor && cursor !== null && axes && axes.xaxis && axes.xaxis._length;
    this.line.hidden = !wanted;
    if (!wanted) return;
    const { xaxis } = axes;
    const x = Math.min(Math.max(xaxis.l2p(cursor), 0), xaxis._length);
    const cover = this.data.cursor === "reveal";
    this.line.classList.toggle("qs-cover", cover);
    Object.assign(this.line.style, {
      left: `${xaxis._offset + x}px`,
      top: `${axes._size.t}px`,
      height: `${axes.height - axes._size.t - axes._size.b}px`,
      width: cover ? `${xaxis._length - x + 1}px` : "0px",
    });
  }

  leave() {
    for (const stop of this.stops || []) stop();
    this.stops = [];
  }

  close() {
    this.leave();
    this.plot.close();
  }
}

export const render = keeper((parent) => new LivePlot(parent));
