// The wall of images at the step looked at, and the strip to go back through every kept frame.

import { bus } from "../steering/bus.js";
import { READABLE, caption, captionHeight, inWords } from "./captions.js";
import { keeper } from "../plots/plot.js";
import { fill } from "../steering/slider.js";

const WALL_TILE = 112; // pixels an image gets on the wall, at least
const THUMBNAILS = 12;
const FEWEST = 4; // images in a row of the wall
const NEAR = 40; // frames loaded on either side of the shown one
const FILM_MS = 6000; // the whole film, however many frames it has
const REST_MS = 2500; // on the last frame, before it begins again

class Film {
  constructor(parent) {
    const find = (name) => parent.querySelector(`.${name}`);
    [this.wall, this.strip, this.range, this.row] = ["wall", "strip", "range", "row"].map(find);
    [this.playButton, this.liveButton, this.label] = [find("play"), find("live"), find("label")];
    this.images = new Map();
    this.frames = [];
    this.shown = -1;
    this.range.oninput = () => this.go(Number(this.range.value));
    this.playButton.onclick = () => this.play(!this.playing);
    this.liveButton.onclick = () => this.follow();
    this.wall.onkeydown = (press) => this.key(press);
    this.range.onkeydown = (press) => {
      if (press.key === " ") this.key(press); // its other keys are the range's own
    };
  }

  update(data) {
    const same = this.data && this.data.run === data.run;
    const before = this.data;
    this.data = data;
    if (same && data.layer !== before.layer) this.bus.look({ layer: data.layer || null });
    if (same && data.offset <= this.offset && data.live === before.live) {
      if (!this.frames.length) this.label.textContent = data.waiting; // a run that ended brings none
      return;
    }
    this.leave();
    // One stop of the keyboard where a page has many: the range, which takes the space bar too.
    this.wall.tabIndex = this.playButton.tabIndex = data.brief ? -1 : 0;
    // The page as a whole is a stop of its own on the way to the first card; "Skip to main content" leads to it.
    if (data.brief) document.querySelector('[data-testid="stMain"]')?.setAttribute("tabindex", "-1");
    this.offset = data.offset;
    this.frames = data.frames.slice();
    this.bus = bus(data.run);
    if (!same) {
      this.shown = -1;
      this.images.clear();
      this.bus.look({ cursor: data.step ?? null, layer: data.layer || null });
    }
    this.stops = [this.bus.listen(() => this.show())];
    if (data.live) this.stops.push(this.bus.watch(data.offset, { event: (event, at) => this.add(event, at) }));
    this.drawStrip();
    this.show();
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!same && data.autoplay && !still && this.frames.length > 1) this.play(true);
  }

  add(event, at) {
    this.offset = at;
    if (event.kind !== "snapshot-saved" || event.name !== "images") return;
    while (this.frames.length && this.frames[this.frames.length - 1].step >= event.step) this.frames.pop();
    this.frames.push({ step: event.step, file: event.file, ...event.values });
    this.drawStrip();
    this.show();
  }

  index() {
    const cursor = this.bus.cursor;
    if (cursor === null) return this.frames.length - 1;
    let index = 0;
    while (index + 1 < this.frames.length && this.frames[index + 1].step <= cursor) index += 1;
    return index;
  }

  go(index) {
    this.play(false);
    this.look(index);
  }

  look(index) {
    const frame = this.frames[Math.max(0, Math.min(index, this.frames.length - 1))];
    if (frame) this.bus.look({ cursor: frame.step, url: this.data.url });
  }

  follow() {
    this.play(false);
    this.bus.look({ cursor: null, url: this.data.url });
  }

  key(press) {
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -10, ArrowUp: 10 };
    if (press.key === " ") this.play(!this.playing);
    else if (press.key in moves) this.go(this.index() + moves[press.key]);
    else if (press.key === "Home") this.go(0);
    else if (press.key === "End") this.follow();
    else return;
    press.preventDefault();
  }

  play(on) {
    clearTimeout(this.timer);
    this.playing = on;
    this.playButton.textContent = on ? "❚❚ Pause" : "▶ Play";
    this.playButton.setAttribute("aria-pressed", String(on));
    if (on) this.tick(this.index() >= this.frames.length - 1 ? 0 : this.index());
  }

  async tick(index) {
    if (!this.playing) return;
    await this.load(this.frames[index]).catch(() => null);
    if (!this.playing) return;
    this.look(index);
    const last = index >= this.frames.length - 1;
    const wait = Math.max(50, Math.min(250, FILM_MS / this.frames.length));
    if (last && !this.data.loop) return this.play(false);
    this.timer = setTimeout(() => this.tick(last ? 0 : index + 1), last ? REST_MS : wait);
  }

  load(frame) {
    if (!this.images.has(frame.file)) {
      const image = new Image();
      image.src = `/api/runs/${encodeURIComponent(this.data.run)}/snapshots/${encodeURIComponent(frame.file)}`;
      this.images.set(frame.file, image.decode().then(() => image));
    }
    return this.images.get(frame.file);
  }

  async show() {
    const index = this.index();
    const frame = this.frames[index];
    this.liveButton.hidden = !this.data.live;
    this.liveButton.setAttribute("aria-pressed", String(this.bus.cursor === null));
    this.range.max = Math.max(0, this.frames.length - 1);
    this.range.disabled = this.playButton.disabled = this.frames.length < 2;
    const still = this.frames.length === 1 && !this.data.live; // images that were taken as they are: no film
    for (const part of [this.strip, this.range, this.row]) part.hidden = still;
    if (!frame) {
      this.label.textContent = this.data.waiting;
      return;
    }
    this.range.value = index;
    fill(this.range);
    this.range.setAttribute("aria-valuetext", `step ${frame.step}`);
    this.range.title = "The space bar plays and pauses";
    this.label.textContent = `step ${frame.step} · frame ${index + 1} of ${this.frames.length}`;
    const said = this.said(frame);
    const words = said ? ` The network sees: ${inWords(said, this.data.classes)}.` : "";
    this.wall.setAttribute("aria-label", `${this.data.alt} Step ${frame.step}.${words}`);
    for (const thumbnail of this.strip.children) {
      thumbnail.classList.toggle("past", Number(thumbnail.dataset.index) <= index);
    }
    for (const near of this.frames.slice(Math.max(0, index - 2), index + NEAR)) this.load(near).catch(() => null);
    const wanted = (this.wanted = frame.file);
    const image = await this.load(frame).catch(() => null);
    if (image && wanted === this.wanted) this.paint(image, frame);
  }

  // What the network takes a frame's tiles for, where that is known.
  said(frame) {
    return (this.data.said || {})[frame.file];
  }

  // Fewer in a row where each has its name below it and a phone has room for fewer names.
  across(count) {
    const fit = Math.floor(this.wall.clientWidth / (READABLE + 3));
    return Math.min(count, Math.max(fit, FEWEST));
  }

  paint(image, frame) {
    const tile = frame.tile || image.height;
    const [inFile, count] = [frame.columns || 1, (frame.columns || 1) * (frame.rows || 1)];
    const columns = this.said(frame) && this.wall.clientWidth ? this.across(inFile) : inFile;
    const rows = Math.max(1, Math.floor(count / columns)); // no row is half empty
    const scale = Math.max(1, Math.round(WALL_TILE / tile));
    const size = tile * scale;
    const gap = Math.max(2, Math.round(size / 28));
    const said = this.said(frame);
    const width = columns * (size + gap) - gap;
    const shown = (this.wall.clientWidth || width) / width;
    const below = said ? captionHeight(size, shown) : 0;
    const height = Math.round(rows * (size + gap + below) - gap);
    if (this.wall.width !== width || this.wall.height !== height) {
      [this.wall.width, this.wall.height] = [width, height];
    }
    const pen = this.wall.getContext("2d");
    pen.imageSmoothingEnabled = false;
    const colour = getComputedStyle(this.wall).color;
    if (said) pen.clearRect(0, 0, width, height);
    for (let k = 0; k < Math.min(count, rows * columns); k += 1) {
      const [x, y] = [(k % columns) * (size + gap), Math.floor(k / columns) * (size + gap + below)];
      const [left, top] = [(k % inFile) * tile, Math.floor(k / inFile) * tile];
      pen.drawImage(image, left, top, tile, tile, x, y, size, size);
      if (!said || k >= said.answers.length) continue;
      caption(pen, x, y + size, size, shown, this.data.classes[said.answers[k]], said.confidence[k], colour);
    }
    this.shown = frame.step;
    this.wall.dataset.across = columns;
    this.wall.dataset.step = frame.step;
  }

  drawStrip() {
    const count = Math.min(THUMBNAILS, this.frames.length);
    const picks = Array.from({ length: count }, (_, i) => Math.round((i * (this.frames.length - 1)) / Math.max(1, count - 1)));
    const wanted = picks.map((index) => this.frames[index].file).join();
    if (wanted === this.strip.dataset.files) return;
    this.strip.dataset.files = wanted;
    this.strip.replaceChildren(...picks.map((index) => this.thumbnail(index)));
  }

  thumbnail(index) {
    const frame = this.frames[index];
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    const tile = frame.tile || 28;
    [canvas.width, canvas.height] = [tile, tile];
    button.type = "button";
    button.dataset.index = index;
    button.tabIndex = -1; // the range and the wall have the keyboard
    button.setAttribute("aria-label", `step ${frame.step}`);
    button.title = `step ${frame.step}`;
    button.append(canvas);
    button.onclick = () => this.go(this.frames.indexOf(frame));
    this.load(frame)
      .then((image) => canvas.getContext("2d").drawImage(image, 0, 0, tile, tile, 0, 0, tile, tile))
      .catch(() => null);
    return button;
  }

  leave() {
    for (const stop of this.stops || []) stop();
    this.stops = [];
    clearTimeout(this.timer);
  }

  close() {
    this.playing = false;
    this.leave();
  }
}

export const render = keeper((parent) => new Film(parent));
