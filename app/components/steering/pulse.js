// Asks Python to draw again: when something happened that only it can say in words, or every so often.
//
// It asks only while the page rests. Streamlit sends the wishes of one moment as one message, for one
// fragment: all others are lost. And a request on its way when another page is asked for comes after that
// page and empties it. So a pulse waits while anything runs, and for what a click sets off; one is enough for
// all that changes together, and where there are two they take turns.
//
// Behind an open dialog a page waits until it is closed: drawn anew, it takes the dialog's fields away for a
// moment, and what is being typed into one is lost. A pulse in a dialog asks for the dialog alone.

import { ENDED, bus } from "./bus.js";
import { keeper } from "../plots/plot.js";

const TIMES_LONGER = 3; // than a drawing took until the next: a slow page does not do nothing else
const LOOK_MS = 100;
const HANDS_OFF_MS = 400; // from a click until Streamlit says that it works on it, at least
const ANSWER_MS = 3000; // and at most: a busy machine says so late, and a click may ask for nothing
const BUTTON_MS = 20000; // the same of a button, which always asks: it may lead to another page
// Between a page that leads on to another and that other, Streamlit seems to rest for a moment; a request then
// asks for the page that was left, and the user is back on it.
const SETTLE_MS = 1500;
const ASKS = "[data-testid^=stBaseButton], [data-testid*=NavLink], [data-testid^=stPageLink]";

let touched = 0;
let patience = ANSWER_MS;
let ran = 0; // when the page was last seen at work
for (const kind of ["pointerdown", "pointerup", "keydown", "input", "change"]) {
  document.addEventListener(kind, ({ target }) => touch(target), { capture: true, passive: true });
}

function touch(target) {
  touched = Date.now();
  patience = target?.closest?.(ASKS) ? BUTTON_MS : ANSWER_MS;
}

function rests(host) {
  const state = document.querySelector("[data-test-script-state]")?.dataset.testScriptState;
  const now = Date.now();
  if (state && state !== "notRunning") ran = now;
  const dialog = document.querySelector("[data-testid=stDialog]");
  const answered = ran > touched || now - touched > patience;
  const settled = now - ran > (patience === BUTTON_MS ? SETTLE_MS : 0);
  const inFront = !dialog || dialog.contains(host);
  return inFront && settled && answered && !document.hidden && now - touched > HANDS_OFF_MS;
}

class Pulse {
  constructor(host) {
    this.host = host;
    this.last = this.took = 0;
  }

  update(data) {
    const before = this.data;
    this.data = data;
    if (before && before.run === data.run && before.live === data.live) return;
    this.leave();
    if (!data.live) return;
    if (data.every_s) this.clock = setInterval(() => this.beat(), 1000 * data.every_s);
    if (!data.run) return;
    const event = ({ kind }) => {
      if (this.data.kinds.includes(kind)) this.beat();
    };
    const status = ({ state }) => {
      if (ended(state) !== ended(this.data.state)) this.beat(true);
    };
    this.stop = bus(data.run).watch(data.offset, { event, status });
  }

  // `now`: as soon as the page rests. All that tells the state would go on saying what is over.
  beat(now = false) {
    this.wanted = true;
    this.hurries ||= now;
    this.timer ??= setInterval(() => this.look(), LOOK_MS);
  }

  look() {
    if (!rests(this.host)) return;
    if (this.asked) [this.asked, this.took] = [false, Date.now() - this.last];
    if (!this.wanted) {
      clearInterval(this.timer);
      this.timer = null;
      return;
    }
    if (!this.hurries && Date.now() - this.last < TIMES_LONGER * this.took) return;
    this.wanted = this.hurries = false;
    this.asked = true;
    touch(null); // another pulse waits as for a click
    this.last = Date.now();
    this.trigger("beat", this.last);
  }

  leave() {
    if (this.stop) this.stop();
    clearInterval(this.timer);
    clearInterval(this.clock);
    this.stop = this.timer = this.clock = null;
    this.wanted = this.asked = this.hurries = false;
  }

  close() {
    this.leave();
  }
}

const ended = (state) => (ENDED.includes(state) || state === "new" ? state : "active");

// An isolated component lives in a shadow root, which no element of the page contains: its host is meant.
export const render = keeper((parent) => new Pulse(parent.getRootNode().host ?? parent));
