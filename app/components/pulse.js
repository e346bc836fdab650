// Asks Python to draw again when something happened that only Python can say in words.

import { ENDED, bus } from "./bus.js";
import { keeper } from "./plot.js";

const NOT_SOONER_MS = 700;

class Pulse {
  update(data) {
    const same = this.data && this.data.run === data.run;
    this.data = data;
    if (same || !data.live) return;
    this.leave();
    const event = (event) => {
      if (data.kinds.includes(event.kind)) this.beat();
    };
    const status = ({ state }) => {
      if (settled(state) !== settled(this.data.state)) this.beat();
    };
    this.stop = bus(data.run).watch(data.offset, { event, status: data.states ? status : null });
  }

  beat() {
    if (this.timer) return;
    const wait = Math.max(0, (this.last || 0) + NOT_SOONER_MS - Date.now());
    this.timer = setTimeout(() => {
      this.timer = null;
      this.last = Date.now();
      this.trigger("beat", this.last);
    }, wait);
  }

  leave() {
    if (this.stop) this.stop();
    clearTimeout(this.timer);
    this.stop = this.timer = null;
  }

  close() {
    this.leave();
  }
}

const settled = (state) => (ENDED.includes(state) || state === "new" ? state : "active");

export const render = keeper(() => new Pulse());
