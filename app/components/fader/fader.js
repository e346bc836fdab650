// Faders of bits that answer while they move: the verdict and the charts at once, the page after the release.

import { keeper } from "../plots/plot.js";
import { fill } from "../steering/slider.js";
import { choiceText, chosenBits, follow, readersOf, usualBits, WIDTHS } from "./follow.js";
import { moving } from "./moving.js";
import { verdict, write } from "./verdict.js";
import { sizeWords } from "../words/numbers.js";

const SEND_MS = 150; // after the last release: keys come in rows
const GIVE_UP_MS = 5000;
const OWN = { network: null, point: null, inputs: null, alone: new Map() };

class Fader {
  constructor(parent) {
    const find = (name) => parent.querySelector(`.${name}`);
    this.scopes = [...parent.querySelectorAll(".scope input")];
    this.verdict = find("verdict");
    this.slides = Object.fromEntries(["weights", "inputs", "size"].map((name) => [name, find(name)]));
    for (const radio of this.scopes) radio.onchange = () => this.aim(radio.value);
    for (const [name, slide] of Object.entries(this.slides)) {
      const range = slide.querySelector("input");
      range.oninput = () => this.move(name, Number(range.value));
      // A change is told of only where the fader ends elsewhere than where it began.
      range.onchange = range.onpointerup = range.onkeyup = () => this.waits && this.later();
    }
    this.sent = null;
    this.waits = false; // for the release, or a moment after it: Python knows nothing of it yet
  }

  update(data) {
    const { found, choice } = data;
    const given = { ...choice, alone: new Map(choice.alone) };
    const isLate = this.sent !== null && choiceText(given) !== this.sent && Date.now() - this.sentAt < GIVE_UP_MS;
    if (this.waits || isLate) {
      this.data = { ...data, scope: this.data.scope };
      return this.show(); // an answer to an earlier place: the fader has been moved since
    }
    this.sent = null;
    moving(data.run).tell(null);
    this.data = data;
    this.choice = given;
    this.own = follow(chosenBits(OWN, found), found);
    this.show();
  }

  // The layer that the faders move, or "" for all of them.
  get layer() {
    return this.data.scope === "layer" ? this.data.layer : "";
  }

  aim(scope) {
    this.data = { ...this.data, scope };
    this.waits = true;
    this.show();
    this.later();
  }

  move(name, value) {
    const { found } = this.data;
    if (name === "size") {
      this.choice = { ...OWN, point: value, inputs: this.choice.network?.[1] ?? this.choice.inputs };
    } else if (name === "inputs" && !this.layer && this.choice.point !== null) {
      this.choice = { ...OWN, point: this.choice.point, inputs: value }; // the weights stay as the size has them
    } else {
      const pair = [...this.standing()];
      pair[name === "weights" ? 0 : 1] = value;
      this.choice = this.layer
        ? { ...this.choice, alone: this.besides(pair) }
        : { ...OWN, network: [pair[0], pair[1] ?? WIDTHS.at(-1)] };
    }
    const bits = chosenBits(this.choice, found);
    this.waits = true;
    this.show();
    moving(this.data.run).tell({ bits, follows: follow(bits, found) });
  }

  // The layer moved last stands last: its bits hold for all that read its input.
  besides(pair) {
    const alone = new Map(this.choice.alone);
    alone.delete(this.layer);
    return alone.set(this.layer, pair);
  }

  standing() {
    const bits = chosenBits(this.choice, this.data.found);
    return this.layer ? bits.get(this.layer) : usualBits(bits, this.data.found);
  }

  show() {
    const { found, layer, scope, words } = this.data;
    const bits = chosenBits(this.choice, found);
    const follows = follow(bits, found);
    for (const radio of this.scopes) {
      radio.checked = radio.value === scope;
      if (radio.value === "layer") radio.parentElement.hidden = !layer;
    }
    const [w, a] = this.standing();
    const of = this.layer ? ` of ${this.layer}` : "";
    this.slide("weights", `Bits of weights${of}`, w, this.told(bits, 0, "weight_bits"));
    const shared = this.layer && a !== null ? readersOf(this.layer, found).filter((path) => path !== this.layer) : [];
    this.slide("inputs", `Bits of inputs${of}`, a, a === null ? "" : this.told(bits, 1, "activation_bits"));
    this.slides.inputs.querySelector("small").textContent =
      a === null ? this.stays(found) : shared.length ? `Also for ${shared.join(", ")}.` : "";
    this.best(follows.size);
    write(this.verdict, verdict(follows, this.own, found, words));
  }

  stays({ held }) {
    return held.activation_bits[this.layer] === null ? "It reads the image, which stays as it is." : "Its input stays float, as in the run.";
  }

  // How many bits the layer has, or from how few to how many all those have which no rule holds.
  told(bits, kind, name) {
    const all = [...bits].filter(([path]) => !(path in this.data.found.held[name])).map(([, pair]) => pair[kind]);
    const given = all.filter((one) => one !== null);
    const moved = this.layer || !given.length ? [this.standing()[kind]] : given;
    const [few, many] = [Math.min(...moved), Math.max(...moved)];
    return few === many ? `${few} bits` : `${few} to ${many} bits`;
  }

  // Of the front, what lies nearest to the size that is shown.
  best(size) {
    const sizes = this.data.found.front.map((one) => one.size_bytes);
    this.slides.size.hidden = !sizes.length;
    if (!sizes.length) return;
    const far = sizes.map((one) => Math.abs(one - size));
    const nearest = this.choice.point ?? far.indexOf(Math.min(...far));
    this.slides.size.querySelector("input").max = sizes.length - 1;
    this.slide("size", null, nearest, sizeWords(sizes[nearest]));
  }

  slide(name, what, value, told) {
    const slide = this.slides[name];
    const range = slide.querySelector("input");
    if (what !== null) slide.querySelector(".what").textContent = what;
    slide.querySelector("output").textContent = told;
    range.hidden = value === null;
    if (value === null) return;
    range.value = value;
    fill(range);
    range.setAttribute("aria-label", slide.querySelector(".what").textContent);
    range.setAttribute("aria-valuetext", told);
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), SEND_MS);
  }

  send() {
    this.waits = false;
    [this.sent, this.sentAt] = [choiceText(this.choice), Date.now()];
    this.trigger("move", { bits: this.sent, scope: this.data.scope });
  }

  close() {
    clearTimeout(this.timer);
  }
}

export const render = keeper((parent) => new Fader(parent));
