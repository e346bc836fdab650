// A row of images that stand still, with what the network takes them for below each.

import { caption, captionHeight, inWords } from "./captions.js";
import { keeper } from "./plot.js";

const TILE = 112;

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
    const width = layout.columns * (TILE + gap) - gap;
    const shown = (this.canvas.clientWidth || width) / width;
    const below = captionHeight(TILE, shown);
    const height = Math.round(TILE + below);
    if (this.shown === shown && this.drawn === this.sheet) return;
    [this.shown, this.drawn] = [shown, this.sheet];
    [this.canvas.width, this.canvas.height] = [width, height];
    const pen = this.canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    const colour = getComputedStyle(this.canvas).color;
    for (let k = 0; k < layout.count; k += 1) {
      const x = k * (TILE + gap);
      pen.drawImage(this.sheet, k * layout.tile, 0, layout.tile, layout.tile, x, 0, TILE, TILE);
      caption(pen, x, TILE, TILE, shown, classes[said.answers[k]], said.confidence[k], colour);
    }
  }

  close() {
    this.observer.disconnect();
  }
}

export const render = keeper((parent) => new Tiles(parent));
