// Top-1 over the bits, a line for each kind of rounding with its 95 % bands, and the stop looked at.

import { percent } from "../words/numbers.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [360, 205];
const PAD = { left: 44, right: 14, top: 12, bottom: 34 };

function make(parent, name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  parent.append(element);
}

export function course(svg, net, at, data) {
  const stops = Object.values(net.roundings);
  const least = Math.min(...stops.flat().map((stop) => stop.band[0]));
  const step = net.float_top1 - least > 0.3 ? 0.2 : net.float_top1 - least > 0.1 ? 0.05 : 0.02;
  const floor = Math.floor(least / step) * step;
  const count = stops[0].length;
  const x = (k) => PAD.left + (k / (count - 1)) * (WIDTH - PAD.left - PAD.right);
  const y = (share) => PAD.top + ((1 - share) / (1 - floor)) * (HEIGHT - PAD.top - PAD.bottom);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  const named = Object.entries(net.roundings).map(([name, of]) => `${data.roundings[name].title} ${percent(of[at].top1)}`);
  svg.setAttribute("aria-label", `Accuracy over bits; at ${stops[0][at].bits} bits: ${named.join(", ")}.`);
  for (let share = floor; share <= 1.0001; share += step) {
    make(svg, "line", { x1: PAD.left, x2: WIDTH - PAD.right, y1: y(share), y2: y(share), stroke: data.colours.grid });
    make(svg, "text", { x: PAD.left - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share, 0));
  }
  make(svg, "line", { x1: x(at), x2: x(at), y1: PAD.top, y2: HEIGHT - PAD.bottom, stroke: "currentColor", "stroke-opacity": 0.45, "stroke-width": 1.5 });
  const line = { x1: PAD.left, x2: WIDTH - PAD.right, y1: y(net.float_top1), y2: y(net.float_top1) };
  make(svg, "line", { ...line, stroke: data.colours.float, "stroke-dasharray": "5 4", "stroke-width": 1.5 });
  make(svg, "text", { x: WIDTH - PAD.right, y: y(net.float_top1) - 4, "text-anchor": "end" }, `full weights: ${percent(net.float_top1)}`);
  for (const [name, of] of Object.entries(net.roundings)) {
    const colour = data.roundings[name].colour;
    const points = of.map((stop, k) => `${x(k)},${y(stop.top1)}`).join(" ");
    make(svg, "polyline", { points, fill: "none", stroke: colour, "stroke-width": 2 });
    of.forEach((stop, k) => {
      make(svg, "line", { x1: x(k), x2: x(k), y1: y(stop.band[0]), y2: y(stop.band[1]), stroke: colour, "stroke-width": 1.5 });
      make(svg, "circle", { cx: x(k), cy: y(stop.top1), r: k === at ? 6 : 3.5, fill: colour });
    });
  }
  stops[0].forEach((stop, k) => make(svg, "text", { x: x(k), y: HEIGHT - 17, "text-anchor": "middle", "font-weight": k === at ? 700 : 400 }, stop.bits));
  make(svg, "text", { x: (PAD.left + WIDTH - PAD.right) / 2, y: HEIGHT - 2, "text-anchor": "middle" }, "bits of each weight");
}
