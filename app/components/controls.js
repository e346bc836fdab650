// What the run is doing, and the buttons that steer it: wishes go to Python, news come by the stream.

import { ENDED, bus } from "./bus.js";
import { keeper } from "./plot.js";

const WORDS = {
  new: "not started", starting: "starting", queued: "waiting for a slot", running: "running", paused: "paused",
  done: "finished", failed: "failed", cancelled: "cancelled", lost: "lost: its process is gone",
};
const STAGES = { synthesis: "making images", quantization: "reconstructing", evaluation: "judging" };

class Controls {
  constructor(parent) {
    const find = (name) => parent.querySelector(`.${name}`);
    [this.box, this.pill, this.doing] = [find("controls"), find("pill"), find("doing")];
    this.facts = { speed: find("speed"), memory: find("memory"), togo: find("togo"), time: find("time") };
    this.buttons = Object.fromEntries([...parent.querySelectorAll("button")].map((b) => [b.dataset.do, b]));
    this.bars = Object.fromEntries([...parent.querySelectorAll(".stage")].map((s) => [s.dataset.stage, s.querySelector("i")]));
    for (const [name, button] of Object.entries(this.buttons)) button.onclick = () => this.wish(name);
    this.clock = setInterval(() => this.showTime(), 1000);
  }

  update(data) {
    const same = this.data && this.data.run === data.run;
    const goesOn = ENDED.includes(this.state) && !ENDED.includes(data.state);
    this.data = data;
    if (goesOn) this.slow = data.slow; // a new worker begins at full speed
    if (!same) {
      this.leave();
      this.heard = false;
      this.totals = { ...data.totals };
      this.steps = { ...data.steps };
      this.slow = data.slow;
      this.last = data.last;
      const viewer = { event: (event) => this.event(event), status: (status) => this.hear(status.state) };
      if (data.live) this.stop = bus(data.run).watch(data.offset, viewer);
    }
    // A run that was resumed tells its news again: without waiting for the next look.
    if (data.live && !ENDED.includes(data.state)) bus(data.run).open();
    // What the stream said is newer than what Python read when it began to draw.
    if (this.heard && data.live) this.show();
    else this.setState(data.state);
  }

  hear(state) {
    this.heard = true;
    this.setState(state);
  }

  event(event) {
    if (event.kind === "stage-started") this.totals[event.stage] = event.total_steps;
    if (event.kind === "stage-finished") this.steps[event.stage] = this.totals[event.stage];
    if (event.kind === "stepped") {
      this.steps[event.stage] = event.step;
      this.last = event;
    }
    if (event.kind === "state-changed") this.hear(event.state);
    else this.show();
  }

  setState(state) {
    this.state = state;
    this.show();
  }

  wish(name) {
    if (name === "pause" && this.state === "paused") name = "go on";
    if (name === "slow") {
      this.slow = !this.slow;
      name = this.slow ? "slow" : "fast";
    }
    this.pill.textContent = { pause: "pausing…", cancel: "cancelling…", resume: "resuming…" }[name] || this.pill.textContent;
    // The number makes two equal wishes in a row two wishes.
    this.trigger("wish", { name, number: (this.number = (this.number || 0) + 1) });
  }

  show() {
    const active = !ENDED.includes(this.state) && this.state !== "new";
    this.pill.textContent = WORDS[this.state] || this.state;
    this.pill.className = `pill ${this.state === "done" ? "done" : active ? "active" : "bad"}`;
    this.box.classList.toggle("ended", !active);
    const paused = this.state === "paused";
    this.buttons.pause.textContent = paused ? "Continue" : "Pause";
    this.buttons.slow.setAttribute("aria-pressed", String(Boolean(this.slow)));
    for (const name of ["pause", "step", "slow", "cancel"]) this.buttons[name].hidden = !active || !this.data.steerable;
    this.buttons.resume.hidden = active || this.state === "done" || !this.data.steerable;
    for (const [stage, bar] of Object.entries(this.bars)) {
      const share = this.totals[stage] ? (this.steps[stage] || 0) / this.totals[stage] : 0;
      bar.style.width = `${Math.min(100, 100 * (this.state === "done" ? 1 : share)).toFixed(1)}%`;
    }
    this.showLast(active);
  }

  showLast(active) {
    const last = this.last;
    if (!last || this.state === "done") {
      this.doing.textContent = this.state === "done" ? this.data.summary : "";
      for (const fact of Object.values(this.facts)) fact.textContent = "";
      return;
    }
    const total = this.totals[last.stage];
    this.doing.textContent = `${STAGES[last.stage] || last.stage}, ${last.part} · step ${last.step}${total ? ` of ${total}` : ""}`;
    const values = last.values || {};
    const number = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits });
    this.facts.speed.textContent = values.steps_per_s ? `${number(values.steps_per_s, 1)} steps/s` : "";
    this.facts.memory.textContent = values.memory_mb ? `${number(values.memory_mb, 0)} MB` : "";
    this.facts.togo.textContent = active && values.eta_s ? `about ${duration(values.eta_s)} to go` : "";
    this.showTime();
  }

  // A quiet run is not a stuck page: say how long ago the last step was.
  showTime() {
    if (!this.last || ENDED.includes(this.state) || this.state === "paused") return (this.facts.time.textContent = "");
    const silent = Date.now() / 1000 - this.last.time_s;
    this.facts.time.textContent = silent > 5 ? `last step ${duration(silent)} ago` : "";
  }

  leave() {
    if (this.stop) this.stop();
    this.stop = null;
  }

  close() {
    clearInterval(this.clock);
    this.leave();
  }
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export const render = keeper((parent) => new Controls(parent));
