// What any choice of bits leads to, by tables measured before. The same rules stand in Python, in bit_choice.py
// and engine/analysis/layers/bit_tables.py; a test in a browser holds the two against each other.

export const WIDTHS = [2, 3, 4, 5, 6, 7, 8];
const IMAGE_BITS = 8; // of a pixel, in bit operations
const [WEIGHTS, INPUTS] = [0, 1];

// A choice: `network` [w, a] or `point` of the front, with `inputs` for all of them or null, or neither (the run's own
// bits), and `alone`, a Map of layers that were moved by themselves. Bits of every layer: a Map of [w, a], a null for an image as it is.
export function chosenBits({ network, point, inputs, alone }, found) {
  const { paths, planned, held } = found;
  const bits = new Map(paths.map((path) => [path, [planned.weight_bits[path], planned.activation_bits[path]]]));
  const start = found.front[point];
  for (const path of paths) {
    const pair = bits.get(path);
    if (start) {
      pair[WEIGHTS] = start.weight_bits[path] ?? pair[WEIGHTS];
      pair[INPUTS] = path in start.activation_bits ? start.activation_bits[path] : pair[INPUTS];
    } else if (network) {
      pair[WEIGHTS] = held.weight_bits[path] ?? network[WEIGHTS];
    }
    const usual = start ? inputs : network && network[INPUTS];
    if (usual !== null && pair[INPUTS] !== null) pair[INPUTS] = held.activation_bits[path] ?? usual;
  }
  for (const [path, [w, a]] of alone) {
    const pair = bits.get(path);
    pair[WEIGHTS] = w;
    if (a !== null && pair[INPUTS] !== null) for (const reader of readersOf(path, found)) bits.get(reader)[INPUTS] = a;
  }
  return bits;
}

// The layers whose input has the same bits as this one's, itself among them.
export function readersOf(path, found) {
  return found.shared_inputs.find((group) => group.includes(path)) ?? [path];
}

// The bits that most layers have which the edge rule does not hold.
export function usualBits(bits, { planned, held }) {
  const [weights, inputs] = [[], []];
  for (const [path, [w, a]] of bits) {
    if (!(path in held.weight_bits)) weights.push(w);
    if (a !== null && planned.activation_bits[path] !== null && !(path in held.activation_bits)) inputs.push(a);
  }
  const all = [...bits.values()].map(([w]) => w);
  return [most(weights.length ? weights : all), most(inputs.length ? inputs : [WIDTHS.at(-1)])];
}

function most(counts) {
  const often = (one) => counts.filter((other) => other === one).length;
  return [...counts].sort((a, b) => a - b).reduce((best, one) => (often(one) > often(best) ? one : best));
}

export function follow(bits, { paths, tables }) {
  const found = { sqnr: [], size: 0, operations: 0, kl: tables.kl_weights ? 0 : null };
  paths.forEach((path, k) => {
    const [w, a] = bits.get(path);
    const [row, column] = [WIDTHS.indexOf(w), a === null ? WIDTHS.length : WIDTHS.indexOf(a)];
    found.sqnr.push(tables.sqnr_db[k][row][column]);
    found.size += Math.floor((tables.weights[k] * w + 7) / 8) + tables.rest_bytes[k];
    found.operations += tables.macs[k] * w * (a ?? IMAGE_BITS);
    if (found.kl !== null) found.kl += tables.kl_weights[k][row] + tables.kl_inputs[k][column];
  });
  return found;
}

// As in the address; Python reads it.
export function choiceText({ network, point, inputs, alone }) {
  const start = network ? [network.join(".")] : point === null ? [] : [`front.${point}${inputs === null ? "" : `.${inputs}`}`];
  return [...start, ...[...alone].map(([path, [w, a]]) => `${path}:${w}.${a ?? ""}`)].join(",");
}
