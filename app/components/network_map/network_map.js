// A network as boxes of cells, laid out like a text: as many in a row as the page is wide.

import { keeper } from "../plots/plot.js";

const CELL = { width: 56, height: 36, gapX: 16, gapY: 10 };
const PAD = { x: 10, top: 25, bottom: 10 };
const CLOSED = { width: 148, height: 62 };
const BETWEEN = 22; // from box to box
const MARGIN = 14;
const ARC = 13; // above the cells, for shortcuts that pass them
const TINTS = ["#3b8bd0", "#1ba57b", "#c9a100", "#b86fa0", "#ee8a1d", "#8a94a3"];
const LEVELS = { problem: "#d6323f", warning: "#ee8a1d" };
const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, parent = null, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

class NetworkMap {
  constructor(parent) {
    this.root = parent.querySelector(".map");
    this.view = this.root.querySelector(".view");
    this.svg = this.root.querySelector("svg");
    this.tip = this.root.querySelector(".tip");
    this.zoom = 1;
    this.opened = new Set();
    for (const button of this.root.querySelectorAll("button")) button.onclick = () => this.press(button.dataset.do);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.view);
    this.drag();
    this.view.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  update(data) {
    const same = this.data && this.data.name === data.name;
    const unchanged = same && JSON.stringify(this.data.map) === JSON.stringify(data.map);
    this.data = data;
    this.chosen = data.chosen;
    if (!same) {
      const groups = data.map.groups.map((_, k) => k);
      this.opened = new Set(data.map.open ? groups : groups.filter((k) => this.small(k) || this.holds(k, data.chosen)));
    }
    this.svg.setAttribute("aria-label", data.alt);
    if (unchanged) this.mark();
    else this.draw();
  }

  small(k) {
    const group = this.data.map.groups[k];
    return !group.name || group.cells.length === 1;
  }

  holds(k, path) {
    return path && this.data.map.groups[k].cells.some((cell) => cell.layer === path);
  }

  press(wish) {
    const groups = this.data.map.groups.map((_, k) => k);
    if (wish === "open") this.opened = new Set(groups);
    if (wish === "close") this.opened = new Set(groups.filter((k) => this.small(k)));
    if (wish === "larger") this.zoom = Math.min(2.5, this.zoom * 1.2);
    if (wish === "smaller") this.zoom = Math.max(0.4, this.zoom / 1.2);
    this.draw();
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    this.zoom = Math.min(2.5, Math.max(0.4, this.zoom * (event.deltaY < 0 ? 1.1 : 1 / 1.1)));
    this.draw();
  }

  resized() {
    const width = this.view.clientWidth;
    if (width && Math.abs(width - (this.drawnAt || 0)) > 2) this.draw();
  }

  // --- where everything stands ---------------------------------------------------------------

  place() {
    const width = Math.max(260, this.view.clientWidth / this.zoom) - 2 * MARGIN;
    const boxes = this.data.map.groups.map((group, k) => ({ k, group, ...this.size(group, k) }));
    const rows = [[]];
    let used = 0;
    for (const box of boxes) {
      const wanted = box.width + (rows.at(-1).length ? BETWEEN : 0);
      if (used + wanted > width && rows.at(-1).length) {
        rows.push([]);
        used = 0;
      }
      used += box.width + (rows.at(-1).length ? BETWEEN : 0);
      rows.at(-1).push(box);
    }
    let y = MARGIN;
    rows.forEach((row, number) => {
      const height = Math.max(...row.map((box) => box.height));
      let x = MARGIN;
      for (const box of row) {
        Object.assign(box, { x, y: y + (height - box.height) / 2, row: number, rowTop: y, rowHeight: height });
        box.middle = this.opened.has(box.k) ? box.y + this.axis(box.group) : box.y + box.height / 2;
        x += box.width + BETWEEN;
      }
      // Boxes of a row stand on one line: the way that most of the data goes.
      const line = Math.max(...row.map((box) => box.middle));
      for (const box of row) {
        box.y += line - box.middle;
        box.middle = line;
      }
      const end = Math.max(...row.map((box) => box.y + box.height));
      const top = Math.min(...row.map((box) => box.y));
      for (const box of row) box.y += y - top;
      for (const box of row) box.middle += y - top;
      y += end - top + 26;
    });
    const right = Math.max(...boxes.map((box) => box.x + box.width));
    return { boxes, rows, width: Math.max(width, right - MARGIN) + 2 * MARGIN, height: y - 26 + MARGIN };
  }

  size(group, k) {
    if (!this.opened.has(k)) return { ...CLOSED };
    const inner = group.ranks * CELL.width + (group.ranks - 1) * CELL.gapX;
    const lanes = group.lanes * CELL.height + (group.lanes - 1) * CELL.gapY;
    if (!group.name) return { width: inner, height: lanes };
    const title = 7 * this.title(group).length;
    return { width: Math.max(inner, title) + 2 * PAD.x, height: lanes + PAD.top + PAD.bottom + this.arcs(group) };
  }

  title(group) {
    return group.name.length > 26 ? `…${group.name.slice(-25)}` : group.name;
  }

  arcs(group) {
    return this.passing(group).length ? ARC : 0;
  }

  // Edges inside the group that pass over cells of its lane, and shortcuts from the group's entry.
  passing(group) {
    const inside = new Map(group.cells.map((cell) => [cell.id, cell]));
    const found = [];
    for (const [source, reader] of this.data.map.edges) {
      const to = inside.get(reader);
      if (!to) continue;
      const from = inside.get(source);
      if (!from && to.rank > 0) found.push({ from: null, to });
      if (from && from.lane === to.lane && to.rank - from.rank > 1) found.push({ from, to });
    }
    return found;
  }

  axis(group) {
    const head = group.name ? PAD.top + this.arcs(group) : 0;
    return head + this.laneY(group, 0) + CELL.height / 2;
  }

  laneY(group, lane) {
    return lane * (CELL.height + CELL.gapY);
  }

  spot(box, cell) {
    const group = box.group;
    const head = group.name ? PAD.top + this.arcs(group) : 0;
    const inner = group.ranks * CELL.width + (group.ranks - 1) * CELL.gapX;
    const left = box.x + (box.width - inner) / 2;
    return { x: left + cell.rank * (CELL.width + CELL.gapX), y: box.y + head + this.laneY(group, cell.lane) };
  }

  // Where lines meet a cell: signs and small steps are narrower than their place.
  port(box, cell) {
    const { x, y } = this.spot(box, cell);
    const half = (cell.layer ? CELL.width : cell.label.length <= 1 ? 24 : CELL.width - 6) / 2;
    const rise = (cell.layer ? CELL.height : 24) / 2;
    const centre = { x: x + CELL.width / 2, y: y + CELL.height / 2 };
    return { ...centre, left: centre.x - half, right: centre.x + half, top: centre.y - rise };
  }

  // --- drawing ---------------------------------------------------------------------------------

  draw() {
    if (!this.data || !this.view.clientWidth) return;
    this.drawnAt = this.view.clientWidth;
    const layout = this.place();
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${layout.width} ${layout.height}`);
    this.svg.setAttribute("width", layout.width * this.zoom);
    this.svg.setAttribute("height", layout.height * this.zoom);
    const defs = make("defs", {}, this.svg);
    const arrow = make("marker", { id: "arrow", viewBox: "0 0 6 6", refX: 5, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" }, defs);
    make("path", { d: "M0,0.5 L5.5,3 L0,5.5 z", fill: "currentColor", opacity: 0.6 }, arrow);
    const home = new Map();
    for (const box of layout.boxes) for (const cell of box.group.cells) home.set(cell.id, { box, cell });
    for (const box of layout.boxes) this.drawBox(box);
    this.drawFlow(layout, home);
    for (const box of layout.boxes) if (this.opened.has(box.k)) this.drawInside(box);
    this.mark();
  }

  drawBox(box) {
    if (!box.group.name && this.opened.has(box.k)) return;
    const tint = TINTS[box.group.tint % TINTS.length];
    const group = make("g", { class: "group", tabindex: 0, role: "button", "aria-expanded": this.opened.has(box.k) }, this.svg);
    make("rect", { class: "box", x: box.x, y: box.y, width: box.width, height: box.height, fill: tint, "fill-opacity": 0.13, stroke: tint, "stroke-opacity": 0.75 }, group);
    const open = this.opened.has(box.k);
    const foldable = !this.small(box.k);
    const sign = foldable ? (open ? "▾ " : "▸ ") : "";
    make("text", { class: "name", x: box.x + PAD.x, y: box.y + 16 }, group, sign + this.title(box.group));
    if (!open) box.group.summary.forEach((line, k) => make("text", { class: "sum", x: box.x + PAD.x, y: box.y + 33 + 15 * k }, group, line));
    const worst = ["problem", "warning"].find((level) => box.group.cells.some((cell) => cell.level === level));
    if (!open && worst) make("circle", { cx: box.x + box.width - 10, cy: box.y + 12, r: 4.5, fill: LEVELS[worst] }, group);
    if (!foldable) {
      group.style.cursor = "default";
      return;
    }
    const toggle = () => {
      if (this.moved) return;
      if (!this.opened.delete(box.k)) this.opened.add(box.k);
      this.draw();
    };
    group.addEventListener("click", toggle);
    group.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), toggle()));
  }

  // From box to box in a row; at the end of a row down and back to the next; over others in an arc.
  drawFlow({ boxes }, home) {
    const seen = new Set();
    for (const [source, reader] of this.data.map.edges) {
      const from = home.get(source).box;
      const to = home.get(reader).box;
      const key = `${from.k} ${to.k}`;
      if (from === to || seen.has(key)) continue;
      seen.add(key);
      const [x0, y0, x1, y1] = [from.x + from.width, from.middle, to.x, to.middle];
      let path;
      if (to.k === from.k + 1 && from.row === to.row) path = `M${x0},${y0} L${x1 - 1},${y1}`;
      else if (to.k === from.k + 1) {
        const turn = Math.max(...boxes.filter((b) => b.row === from.row).map((b) => b.y + b.height)) + 13;
        path = `M${x0},${y0} h5 q5,0 5,5 V${turn - 5} q0,5 -5,5 H${x1 - 7} q-5,0 -5,5 V${y1 - 5} q0,5 5,5 h6`;
      } else {
        const top = Math.min(from.y, to.y) - 6;
        path = `M${from.x + from.width / 2},${from.y} C${from.x + from.width / 2},${top - 8} ${to.x + to.width / 2},${top - 8} ${to.x + to.width / 2},${to.y}`;
      }
      make("path", { class: to.k === from.k + 1 ? "flow" : "edge skip", d: path, "marker-end": "url(#arrow)" }, this.svg);
    }
  }

  drawInside(box) {
    const named = Boolean(box.group.name);
    const inside = new Map(box.group.cells.map((cell) => [cell.id, cell]));
    const top = box.y + PAD.top + 3;
    const line = (skip, d, arrow) => make("path", { class: skip ? "edge skip" : "edge", d, ...(arrow ? { "marker-end": "url(#arrow)" } : {}) }, this.svg);
    const over = (start, b) => line(true, `${start} V${top + 6} q0,-6 6,-6 H${b.x - 6} q6,0 6,6 V${b.top - 1}`, true);
    for (const [source, reader] of this.data.map.edges) {
      const to = inside.get(reader);
      if (!to) continue;
      const from = inside.get(source) || null;
      const b = this.port(box, to);
      if (!from) {
        if (to.rank > 0) over(`M${box.x},${box.middle} q6,0 6,-6`, b);
        else if (named && to.lane === 0) line(false, `M${box.x},${box.middle} H${b.left}`);
        else if (named) line(true, `M${box.x},${box.middle} C${box.x + 9},${box.middle} ${box.x - 1},${b.y} ${b.left},${b.y}`);
        continue;
      }
      const a = this.port(box, from);
      const bend = Math.max(8, (b.left - a.right) / 2);
      if (from.lane === to.lane && to.rank - from.rank > 1) over(`M${a.x},${a.top}`, b);
      else line(from.lane || to.lane, `M${a.right},${a.y} C${a.right + bend},${a.y} ${b.left - bend},${b.y} ${b.left},${b.y}`);
    }
    const last = box.group.cells.at(-1);
    if (named && last.lane === 0) line(false, `M${this.port(box, last).right},${box.middle} H${box.x + box.width}`);
    for (const cell of box.group.cells) this.drawCell(box, cell);
  }

  drawCell(box, cell) {
    const { x, y } = this.spot(box, cell);
    const pick = Boolean(cell.layer);
    const node = make("g", { class: `cell ${pick ? "pick" : "other"}`, "data-layer": cell.layer }, this.svg);
    const round = !pick && cell.label.length <= 1;
    const [w, h] = round ? [24, 24] : pick ? [CELL.width, CELL.height] : [CELL.width - 6, 24];
    const rect = make("rect", { x: x + (CELL.width - w) / 2, y: y + (CELL.height - h) / 2, width: w, height: h }, node);
    if (round) rect.style.rx = "12";
    if (pick) {
      make("rect", { x, y, width: w, height: h, style: "fill: var(--st-background-color)" }, node).after(rect);
      rect.setAttribute("style", `fill: #ee8a1d; fill-opacity: ${(0.1 + 0.75 * cell.shade).toFixed(3)}`);
      if (this.data.shade === "bits") rect.setAttribute("style", `fill: ${cell.shade >= 1 ? "#3b8bd0" : "#ee8a1d"}; fill-opacity: ${(0.62 - 0.4 * (cell.shade >= 1 ? 0.6 : cell.shade)).toFixed(3)}`);
      make("text", { class: "label", x: x + w / 2, y: y + 15 }, node, cell.label);
      make("text", { class: "sub", x: x + w / 2, y: y + 29 }, node, cell.sub);
      node.setAttribute("tabindex", 0);
      node.setAttribute("role", "button");
      node.setAttribute("aria-label", cell.tip.join(", "));
      const choose = (event) => {
        event.stopPropagation();
        if (!this.moved) this.choose(cell.layer);
      };
      node.addEventListener("click", choose);
      node.addEventListener("keydown", (event) => event.key === "Enter" && choose(event));
    } else make("text", { class: "plain", x: x + CELL.width / 2, y: y + CELL.height / 2 + 4 }, node, cell.label);
    [...cell.marks].forEach((mark, k) => {
      const cx = x + CELL.width / 2 + w / 2 - 7 - 8 * (cell.marks.length - 1 - k);
      make("circle", { class: `mark ${mark}`, cx, cy: y + (CELL.height + h) / 2, r: 3.4 }, node);
    });
    if (cell.level) make("circle", { cx: x + 3, cy: y + 3, r: 4.5, fill: LEVELS[cell.level] }, node);
    node.addEventListener("pointerenter", () => this.show(node, cell.tip));
    node.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  mark() {
    for (const node of this.svg.querySelectorAll(".cell.pick")) node.classList.toggle("chosen", node.dataset.layer === this.chosen);
  }

  choose(path) {
    this.chosen = path;
    this.mark();
    this.trigger("pick", path);
  }

  show(node, lines) {
    this.tip.replaceChildren();
    lines.forEach((line, k) => {
      const part = document.createElement(k ? "span" : "b");
      part.textContent = line;
      this.tip.append(part);
    });
    this.tip.hidden = false;
    const at = node.getBoundingClientRect();
    const home = this.root.getBoundingClientRect();
    const left = Math.min(at.left - home.left, home.width - this.tip.offsetWidth - 4);
    const below = at.bottom - home.top + 8;
    const above = at.top - home.top - this.tip.offsetHeight - 8;
    this.tip.style.left = `${Math.max(4, left)}px`;
    this.tip.style.top = `${below + this.tip.offsetHeight > home.height + 60 && above > 0 ? above : below}px`;
  }

  // Hold and drag moves the map; a click that moved is no click.
  drag() {
    let start = null;
    this.view.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button) return;
      start = { x: event.clientX, y: event.clientY, left: this.view.scrollLeft, top: this.view.scrollTop };
      this.moved = false;
    });
    this.view.addEventListener("pointermove", (event) => {
      if (!start) return;
      const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
      if (Math.abs(dx) + Math.abs(dy) > 4) this.moved = true;
      this.view.classList.toggle("held", this.moved);
      this.view.scrollLeft = start.left - dx;
      this.view.scrollTop = start.top - dy;
    });
    this.release = () => {
      start = null;
      this.view.classList.remove("held");
      setTimeout(() => (this.moved = false), 0);
    };
    window.addEventListener("pointerup", this.release);
  }

  close() {
    this.observer.disconnect();
    window.removeEventListener("pointerup", this.release);
  }
}

export const render = keeper((parent) => new NetworkMap(parent));
