// Under a tile on a canvas: the class that the network takes it for, and how sure it is.

import { percent } from "../words/numbers.js";

export const READABLE = 46; // a tile's width on the screen, in pixels, from which on a word fits below it
const SURE = "#3b8bd0";

// In canvas pixels: `size` of a tile; `shown`: screen pixels to a canvas pixel.
export function captionHeight(size, shown) {
  return size * shown < READABLE ? size * 0.14 : 31 / shown;
}

export function caption(pen, x, y, size, shown, word, sure, colour) {
  const unit = 1 / shown;
  const narrow = size * shown < READABLE;
  const [top, thick] = narrow ? [y + size * 0.03, size * 0.07] : [y + 21 * unit, 4 * unit];
  const long = narrow ? size : size - 30 * unit;
  pen.fillStyle = colour;
  pen.globalAlpha = 0.18;
  pen.fillRect(x, top, long, thick);
  pen.globalAlpha = 1;
  pen.fillStyle = SURE;
  pen.fillRect(x, top, (long * sure) / 100, thick);
  if (narrow) return;
  pen.fillStyle = colour;
  pen.font = `${(size * shown < 64 ? 10 : 11) * unit}px ${getComputedStyle(pen.canvas).fontFamily}`;
  pen.fillText(word, x, y + 12.5 * unit, size);
  pen.textAlign = "right";
  pen.fillText(percent(sure / 100, 0), x + size, y + 27 * unit);
  pen.textAlign = "left";
}

// The same in words, for whoever cannot see it.
export function inWords(said, classes) {
  return said.answers.map((answer, k) => `${classes[answer]} ${percent(said.confidence[k] / 100, 0)}`).join(", ");
}
