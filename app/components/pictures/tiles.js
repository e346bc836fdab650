// A row of images that stand still, with what the network takes them for below each.

import { caption, captionHeight, inWords } from "./captions.js";
import { keeper } from "../plots/plot.js";

const TILE = 112;
const FEW = 50; // screen pixels of a tile, below which they stand in two rows

class Tiles {
  constructor(parent) {
    this.canvas = parent.querySelector("canvas");
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  async update(data) {
    this.data = data;
    this.canvas.setAttribute("aria-label", `${data.alt} ${inWords(data.said, data.classes)}.`);
    const sheet = new Image();
    sheet.src = data.sheet;
    await sheet.decode().catch(() => null);
    this.sheet = sheet;
    this.draw();
  }

  draw() {
    if (!this.sheet || !this.sheet.naturalWidth) return;
    const { layout, said, classes } = this.data;
    const gap = TILE / 28;
    const across = this.canvas.clientWidth / layout.count < FEW ? Math.ceil(layout.count / 2) : layout.count;
    const width = across * (TILE + gap) - gap;
    const shown = (this.canvas.clientWidth || width) / width;
    const below = captionHeight(TILE, shown);
    const row = TILE + below + gap;
    const height = Math.round(Math.ceil(layout.count / across) * row - gap);
    if (this.shown === shown && this.drawn === this.sheet) return;
    [this.shown, this.drawn] = [shown, this.sheet];
    [this.canvas.width, this.canvas.height] = [width, height];
    const pen = this.canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    const colour = getComputedStyle(this.canvas).color;
    for (let k = 0; k < layout.count; k += 1) {
      const [x, y] = [(k % across) * (TILE + gap), Math.floor(k / across) * row];
      pen.drawImage(this.sheet, k * layout.tile, 0, layout.tile, layout.tile, x, y, TILE, TILE);
      caption(pen, x, y + TILE, TILE, shown, classes[said.answers[k]], said.confidence[k], colour);
    }
  }

  close() {
    this.observer.disconnect();
  }
}

export const render = keeper((parent) => new Tiles(parent));
