// What the faders of a run stand at while they move: the charts follow at once, the page comes after.

const stores = new Map();

export function moving(run) {
  if (!stores.has(run)) stores.set(run, new Moving());
  return stores.get(run);
}

class Moving {
  constructor() {
    this.now = null; // nothing that the page does not know
    this.listeners = new Set();
  }

  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(now) {
    this.now = now;
    if (now) for (const listener of this.listeners) listener(now);
  }
}

// How each chart is drawn anew. What a colour or a limit is, its figure says (app/charts/why/bits.py).
export const PAINTS = {
  sqnr(figure, { bits, follows }) {
    const [bars, needs] = figure.data;
    const { top, levels, fine } = bars.meta;
    bars.y = follows.sqnr.map((db) => Math.min(Math.max(db, 0), top));
    bars.marker.color = follows.sqnr.map((db) => (levels.find(([level]) => db < level) ?? [0, fine])[1]);
    bars.customdata = bars.x.map((path, k) => [words(bits.get(path)), follows.sqnr[k]]);
    const [level, below, above] = needs.meta.level;
    needs.textfont.color = follows.sqnr.map((db) => (db < level ? below : above));
  },

  front(figure, { follows }) {
    figure.data = figure.data.filter((trace) => trace.name !== "yours, measured"); // of other bits
    const mine = figure.data.find((trace) => trace.name === "yours");
    [mine.x, mine.y] = follows.kl > 0 ? [[follows.size / 1e3], [follows.kl]] : [[], []];
  },
};

const words = ([w, a]) => `W${w}${a === null ? "" : `A${a}`}`;
