// The same test images again and again: dim where the student answers as its teacher, framed where it does not.

const TILE = 28;
const GAP = 4;
const DIM = 0.3;

export class AnswerWall {
  constructor(parent) {
    this.figure = document.createElement("figure");
    this.caption = document.createElement("figcaption");
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.sub = document.createElement("span");
    this.sub.className = "sub";
    this.figure.append(this.caption, this.canvas, this.sub);
    parent.append(this.figure);
    this.canvas.onmousemove = (event) => this.point(event);
  }

  // `sheet`: an image of all tiles; `layout`: its columns, rows, tile; `kinds`: a colour or "" for each image.
  draw(sheet, layout, kinds, titles) {
    Object.assign(this, { layout, titles });
    const { columns, rows, count } = layout;
    const [width, height] = [columns * (TILE + GAP), rows * (TILE + GAP)];
    if (this.canvas.width !== width) [this.canvas.width, this.canvas.height] = [width, height];
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    for (let k = 0; k < count; k += 1) {
      const [x, y] = [(k % columns) * (TILE + GAP) + GAP / 2, Math.floor(k / columns) * (TILE + GAP) + GAP / 2];
      const from = [(k % columns) * layout.tile, Math.floor(k / columns) * layout.tile];
      pen.globalAlpha = kinds[k] ? 1 : DIM;
      pen.drawImage(sheet, ...from, layout.tile, layout.tile, x, y, TILE, TILE);
      if (!kinds[k]) continue;
      pen.lineWidth = 3;
      pen.strokeStyle = kinds[k];
      pen.strokeRect(x - 0.5, y - 0.5, TILE + 1, TILE + 1);
    }
    pen.globalAlpha = 1;
  }

  point(event) {
    if (!this.layout) return;
    const { columns, count } = this.layout;
    const step = (TILE + GAP) * (this.canvas.clientWidth / this.canvas.width);
    const k = Math.floor(event.offsetY / step) * columns + Math.min(columns - 1, Math.floor(event.offsetX / step));
    this.canvas.title = k < count ? this.titles[k] : "";
  }
}
