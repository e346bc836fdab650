// Room for what stands beside the axes, measured before the first drawing. Plotly finds it out by drawing, and
// where a name needs more room than there is, it draws the whole chart again.

const FONT = 12;
const LINE = 1.6; // of the letters' size: what a line of numbers takes below an axis
const TITLE = 1.45; // of the letters' size: what a title takes, an empty one too
const OFF = { x: 6, y: 9, turned: 11 }; // pixels between an axis and its names
const NUMBER = 42; // pixels that a number beside a vertical axis takes at most, as a rule
const TICKS = 5; // that an axis of a map has

let pen = null;

// The layout's margins, at least as wide as the names and titles of its axes.
export function roomyMargins(layout, data, family) {
  const margin = { ...layout.margin };
  const usual = layout.font?.size || FONT;
  const ticks = data.some((trace) => trace.type === "heatmap") ? TICKS : 0;
  for (const [name, axis] of Object.entries(layout)) {
    if (!/^[xy]axis\d*$/.test(name) || !axis?.automargin) continue;
    const side = (axis.side || (name[0] === "x" ? "bottom" : "left"))[0];
    const names = namesRoom(name[0], axis, namesOf(name, axis, data), axis.tickfont?.size || usual, family);
    margin[side] = Math.max(margin[side] || 0, Math.ceil(names + ticks + titleRoom(axis, usual)));
  }
  return margin;
}

// Words alone: numbers are chosen while the axis is drawn.
function namesOf(name, axis, data) {
  if (axis.ticktext) return axis.ticktext;
  const [side, id] = [name[0], name.replace("axis", "")];
  const values = data.filter((trace) => (trace[`${side}axis`] || side) === id).flatMap((trace) => trace[side] || []);
  return values.filter((value) => typeof value === "string");
}

function namesRoom(side, axis, names, size, family) {
  const turn = (Math.abs(Number(axis.tickangle) || 0) * Math.PI) / 180;
  const long = names.length && (turn || side === "y") ? longest(names, size, family) : 0;
  if (axis.showticklabels === false) return OFF.x;
  if (side === "y") return OFF.y + (long || NUMBER);
  return (turn ? OFF.turned : OFF.x) + long * Math.sin(turn) + LINE * size * Math.cos(turn);
}

function longest(names, size, family) {
  pen ??= document.createElement("canvas").getContext("2d");
  const width = (name) => {
    pen.font = `${name.includes("<b>") ? "bold " : ""}${size}px ${family}`;
    return pen.measureText(name.replace(/<[^>]+>/g, "")).width;
  };
  return Math.max(...names.map((name) => width(String(name))));
}

function titleRoom(axis, usual) {
  return axis.title ? TITLE * (axis.title.font?.size || usual) + (axis.title.standoff || 0) : 0;
}
