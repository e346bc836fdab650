// What the run is doing, and the buttons that steer it: wishes go to Python, news come by the stream.

import { ENDED, bus } from "./bus.js";
import { keeper } from "../plots/plot.js";
import { percent } from "../words/numbers.js";

const WORDS = {
  new: "not started", starting: "starting", queued: "waiting for a slot", running: "running", paused: "paused",
  done: "finished", failed: "failed", cancelled: "cancelled", lost: "lost: its process is gone",
};

class Controls {
  constructor(parent) {
    const find = (name) => parent.querySelector(`.${name}`);
    [this.pill, this.doing, this.accuracy] = [find("pill"), find("doing"), find("accuracy")];
    this.facts = { speed: find("speed"), memory: find("memory"), togo: find("togo"), time: find("time") };
    const all = (kind) => [...parent.querySelectorAll(`button[data-${kind}]`)];
    this.buttons = Object.fromEntries(all("do").map((b) => [b.dataset.do, b]));
    this.tabs = all("tab");
    for (const [name, button] of Object.entries(this.buttons)) button.onclick = () => this.wish(name);
    for (const tab of this.tabs) {
      tab.onclick = () => this.choose(tab);
      tab.onkeydown = (press) => this.key(press, tab);
    }
    this.clock = setInterval(() => this.showTime(), 1000);
  }

  update(data) {
    const same = this.data && this.data.run === data.run;
    const goesOn = ENDED.includes(this.state) && !ENDED.includes(data.state);
    this.data = data;
    this.mark(data.tab);
    if (goesOn) this.slow = data.slow; // a new worker begins at full speed
    if (!same) {
      this.leave();
      this.heard = false;
      this.totals = { ...data.totals };
      this.steps = { ...data.steps };
      this.slow = data.slow;
      this.last = data.last;
      this.top1 = { ...data.top1 };
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
    if (event.kind === "stage-started") {
      this.totals[event.stage] = event.total_steps;
      if (this.last?.stage !== event.stage) this.last = null; // of a stage that is over, or another run's
    }
    if (event.kind === "stage-finished") this.steps[event.stage] = this.totals[event.stage];
    if (event.kind === "stepped") {
      this.steps[event.stage] = event.step;
      this.last = event;
      if (event.stage === "evaluation" && event.values?.top1 != null) this.top1[event.part] = event.values.top1;
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
    this.pill.textContent = { pause: "pausing…", cancel: "cancelling…" }[name] || this.pill.textContent;
    // The number makes two equal wishes in a row two wishes.
    this.trigger("wish", { name, number: (this.number = (this.number || 0) + 1) });
  }

  show() {
    const active = !ENDED.includes(this.state) && this.state !== "new";
    this.pill.textContent = WORDS[this.state] || this.state;
    this.pill.className = `pill ${this.state === "done" ? "done" : active ? "active" : "bad"}`;
    const paused = this.state === "paused";
    this.buttons.pause.textContent = paused ? "Continue" : "Pause";
    this.buttons.slow.setAttribute("aria-pressed", String(Boolean(this.slow)));
    for (const name of ["pause", "step", "slow", "cancel"]) this.buttons[name].hidden = !active || !this.data.steerable;
    for (const tab of this.tabs) this.showStage(tab, active);
    this.showAccuracy();
    this.showLast(active);
  }

  // What is over is not drawn as if it were at work.
  showStage(tab, active) {
    const { stage } = tab.dataset;
    const total = this.totals[stage];
    const share = this.state === "done" ? 1 : total ? Math.min(1, (this.steps[stage] || 0) / total) : 0;
    const isLast = this.last && this.last.stage === stage;
    tab.classList.toggle("over", share >= 1);
    tab.classList.toggle("broken", !active && isLast && share < 1);
    tab.querySelector("i").style.width = `${(100 * share).toFixed(1)}%`;
    const at = share >= 1 ? this.data.took[stage] || "done" : share > 0 ? percent(Math.floor(100 * share) / 100, 0) : "";
    tab.querySelector(".stage").textContent = at && share < 1 && isLast && active ? `${at}, ${this.state === "paused" ? "paused" : "at work"}` : at;
  }

  showAccuracy() {
    const [value, note] = this.accuracy.children;
    const told = this.data.accuracy || this.soFar();
    this.accuracy.hidden = !told;
    if (told) [value.textContent, note.textContent] = [told.value, told.note];
  }

  soFar() {
    const { teacher, student } = this.top1;
    if (student === undefined) return null;
    const beside = teacher === undefined ? "" : `, teacher ${percent(teacher)}`;
    const until = this.state === "done" ? "" : " so far"; // the page's own sentence comes in a moment
    return { value: percent(student), note: `right${until}${beside}` };
  }

  // --- which tab ------------------------------------------------------------------------------

  mark(name) {
    for (const tab of this.tabs) {
      const chosen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
  }

  choose(tab) {
    const { cursor, layer } = bus(this.data.run);
    this.mark(tab.dataset.tab);
    document.querySelector("[data-testid=stMain]")?.scrollTo(0, 0);
    this.trigger("tab", { name: tab.dataset.tab, step: cursor, layer, number: (this.number = (this.number || 0) + 1) });
  }

  key(press, tab) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[press.key];
    if (!move) return;
    const next = this.tabs[(this.tabs.indexOf(tab) + move + this.tabs.length) % this.tabs.length];
    next.focus();
    this.choose(next);
    press.preventDefault();
  }

  showLast(active) {
    const last = this.last;
    if (!last || this.state === "done") {
      this.doing.textContent = this.state === "done" ? this.data.summary : "";
      for (const fact of Object.values(this.facts)) fact.textContent = "";
      return;
    }
    const total = this.totals[last.stage];
    this.doing.textContent = `${last.part} · step ${last.step}${total ? ` of ${total}` : ""}`;
    const values = last.values || {};
    const number = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits });
    this.facts.speed.textContent = active && values.steps_per_s ? `${number(values.steps_per_s, 1)} steps/s` : "";
    this.facts.memory.textContent = active && values.memory_mb ? `${number(values.memory_mb, 0)} MB` : "";
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
