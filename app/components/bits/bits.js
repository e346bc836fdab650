// A slider over what was measured at each number of bits: accuracy, size, weakest layer, answers that flip.

import { AnswerWall } from "./answer_wall.js";
import { course } from "./course.js";
import { save } from "../plots/csv.js";
import { keeper } from "../plots/plot.js";
import { fill } from "../steering/slider.js";
import { percent, sizeWords } from "../words/numbers.js";

class Bits {
  constructor(parent) {
    const find = (name) => parent.querySelector(`.${name}`);
    [this.range, this.now, this.verdict, this.legend] = ["range", "now", "verdict", "legend"].map(find);
    [this.nets, this.box] = [find("nets"), find("walls")];
    this.svg = parent.querySelector("svg");
    this.range.oninput = () => this.show();
    find("numbers").onclick = () => save(numbers(this.data), "bits");
    this.walls = {};
  }

  update(data) {
    const same = this.data && this.data.date === data.date;
    this.data = data;
    if (same) return this.show();
    this.net = data.networks[0];
    this.range.max = this.stops("nearest").length - 1;
    this.range.value = Math.max(0, this.stops("nearest").findIndex((one) => one.bits === data.first));
    this.drawNets();
    this.box.replaceChildren();
    for (const name of Object.keys(data.roundings)) this.walls[name] = new AnswerWall(this.box);
    const { wrong, right, other } = data.colours;
    const key = (colour, text) => `<span class="box" style="border-color:${colour}"></span>${text}`;
    this.legend.innerHTML =
      `The first ${data.layout.count} test images, none chosen. Framed: the network answers otherwise than with full weights.` +
      key(wrong, "was right, is wrong") + key(right, "was wrong, is right") + key(other, "wrong before and after") + `<br>${data.how}`;
    this.sheet = new Image();
    this.sheet.src = data.sheet;
    this.sheet.decode().then(() => this.show(), () => null);
  }

  stops(rounding) {
    return this.net.roundings[rounding];
  }

  drawNets() {
    const legend = this.nets.querySelector("legend");
    this.nets.replaceChildren(legend, ...this.data.networks.map((net, k) => {
      const label = document.createElement("label");
      const radio = Object.assign(document.createElement("input"), { type: "radio", name: "bits-net", checked: !k });
      radio.onchange = () => {
        this.net = net;
        this.show();
      };
      label.append(radio, net.title);
      return label;
    }));
    this.nets.hidden = this.data.networks.length < 2;
  }

  show() {
    const at = Number(this.range.value);
    fill(this.range);
    const bits = this.stops("nearest")[at].bits;
    this.now.textContent = `${bits} bits`;
    this.range.setAttribute("aria-valuetext", `${bits} bits`);
    this.verdict.innerHTML = this.sentence(at);
    for (const [name, words] of Object.entries(this.data.roundings)) this.wall(name, words, this.stops(name)[at]);
    course(this.svg, this.net, at, this.data);
  }

  sentence(at) {
    const [nearest, learned] = [this.stops("nearest")[at], this.stops("learned")[at]];
    const times = (this.net.float_bytes / learned.bytes).toFixed(1);
    return (
      `<b>${sizeWords(this.net.float_bytes)} become ${sizeWords(learned.bytes)}: ${times} times smaller.</b> ` +
      `Rounded to the nearest level, the network ${this.lost(nearest)}; ` +
      `with roundings learned without its data, it ${this.lost(learned)}.`
    );
  }

  lost(stop) {
    const points = 100 * (this.net.float_top1 - stop.top1);
    if (stop.drop.band[0] <= 0 && stop.drop.band[1] >= 0) return "loses nothing that these tests can tell";
    const change = points >= 0 ? "loses" : "gains";
    return `${change} <b>${Math.abs(points).toFixed(1)} points</b> of accuracy`;
  }

  wall(name, words, stop) {
    const { wrong, right, other } = this.data.colours;
    const [labels, teacher, classes] = [this.net.labels, this.net.teacher, this.net.classes];
    const kinds = stop.answers.map((answer, k) => {
      if (answer === teacher[k]) return "";
      if (answer === labels[k]) return right;
      return teacher[k] === labels[k] ? wrong : other;
    });
    const flips = kinds.filter(Boolean).length;
    const titles = stop.answers.map((answer, k) =>
      answer === teacher[k] ? `${classes[answer]}, as before` : `${classes[teacher[k]]} before, ${classes[answer]} now; it is: ${classes[labels[k]]}`,
    );
    const wall = this.walls[name];
    wall.caption.innerHTML =
      `<span class="dot" style="background:${words.colour}"></span>${words.title}: right on <b>${percent(stop.top1)}</b> ` +
      `of ${this.net.test_images.toLocaleString("en")} images`;
    wall.sub.textContent =
      `${flips} of these ${kinds.length} answers flip. Weakest layer: ${stop.weakest.path}, its error is ` +
      `${percent(stop.weakest.error)} of its signal (${stop.weakest.sqnr_db.toFixed(0)} dB).`;
    wall.canvas.setAttribute("aria-label", `${words.title}: ${flips} of ${kinds.length} answers flip.`);
    if (this.sheet.complete && this.sheet.naturalWidth) wall.draw(this.sheet, this.data.layout, kinds, titles);
  }

  close() {}
}

// Every stop of every network as rows.
function numbers({ networks }) {
  const stop = ({ bits, top1, drop, band, bytes, weakest }) => ({
    bits, top1, low: band[0], high: band[1], "lost, low": drop.band[0], "lost, high": drop.band[1], bytes,
    "weakest layer": weakest.path, "its SQNR, dB": weakest.sqnr_db,
  });
  return networks.flatMap(({ title, roundings, float_top1 }) =>
    Object.entries(roundings).flatMap(([rounding, stops]) =>
      stops.map((one) => ({ network: title, rounding, "float top1": float_top1, ...stop(one) })),
    ),
  );
}

export const render = keeper((parent) => new Bits(parent));
