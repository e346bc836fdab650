// One connection and one cursor for a run, shared by everything on the page that shows it.

const RETRY_MS = 3000;
const runs = new Map();

export const ENDED = ["done", "failed", "cancelled", "lost"];

export function bus(run) {
  if (!runs.has(run)) runs.set(run, new Bus(run));
  return runs.get(run);
}

class Bus {
  constructor(run) {
    this.run = run;
    this.log = []; // [offset, event]: so that a component that comes later misses nothing
    this.offset = null; // behind the last event received
    this.source = null;
    this.viewers = new Set();
    this.listeners = new Set();
    this.cursor = null; // the step looked at; null follows the newest
    this.layer = null; // the path of the layer looked at; null is the first
    this.state = null;
    this.onVisible = () => (document.hidden ? this.close() : this.open());
    document.addEventListener("visibilitychange", this.onVisible);
  }

  // `viewer.event(event)` for every event behind the offset, `viewer.status(status)` for changes of state.
  watch(offset, viewer) {
    const entry = { viewer, offset };
    this.viewers.add(entry);
    if (this.offset === null) this.offset = offset;
    if (offset < this.offset && !this.log.some(([at]) => at > offset)) this.reopen(offset);
    for (const [at, event] of this.log) this.deliver(entry, at, event);
    if (this.state && viewer.status) viewer.status(this.state);
    this.open();
    return () => {
      this.viewers.delete(entry);
      setTimeout(() => this.rest(), 2000);
    };
  }

  deliver(entry, at, event) {
    if (at <= entry.offset) return;
    entry.offset = at;
    if (entry.viewer.event) entry.viewer.event(event, at);
  }

  open() {
    if (this.source || !this.viewers.size || document.hidden) return;
    const path = `/api/runs/${encodeURIComponent(this.run)}/events?since=${this.offset}`;
    this.source = new EventSource(path);
    this.source.onmessage = (message) => this.receive(message);
    this.source.addEventListener("status", (message) => this.receiveStatus(JSON.parse(message.data)));
    this.source.addEventListener("reset", () => window.location.reload());
    this.source.addEventListener("end", (message) => {
      this.close();
      // Somebody else may resume the run: look again, unless it is done for good.
      if (JSON.parse(message.data).state !== "done") setTimeout(() => this.open(), RETRY_MS);
    });
  }

  receive(message) {
    let event;
    try {
      event = JSON.parse(message.data);
    } catch {
      return; // a torn line
    }
    this.offset = Number(message.lastEventId);
    this.log.push([this.offset, event]);
    for (const entry of [...this.viewers]) this.deliver(entry, this.offset, event);
  }

  receiveStatus(status) {
    this.state = status;
    for (const { viewer } of [...this.viewers]) if (viewer.status) viewer.status(status);
  }

  reopen(offset) {
    this.close();
    this.offset = offset;
    this.log = [];
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
  }

  rest() {
    if (this.viewers.size || this.listeners.size) return;
    this.close();
    document.removeEventListener("visibilitychange", this.onVisible);
    runs.delete(this.run);
  }

  // `listener()` after every change of the cursor or the layer.
  listen(listener) {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      setTimeout(() => this.rest(), 2000);
    };
  }

  look({ cursor = this.cursor, layer = this.layer, url = false }) {
    if (cursor === this.cursor && layer === this.layer) return;
    this.cursor = cursor;
    this.layer = layer;
    if (url) remember({ step: cursor, layer });
    for (const listener of [...this.listeners]) listener();
  }
}

// The address shows what is looked at, so that it can be sent and reloaded.
let pending = null;
function remember(view) {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const address = new URL(window.location.href);
    for (const [name, value] of Object.entries(view)) {
      if (value === null || value === undefined) address.searchParams.delete(name);
      else address.searchParams.set(name, value);
    }
    window.history.replaceState(window.history.state, "", address);
  }, 150);
}
