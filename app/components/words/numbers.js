// Shares, sizes and counts as every page writes them; Python's are in engine/core/percent.py and app/wording/words.py.

const UNITS = { size: [" B", " kB", " MB", " GB"], count: ["", " thousand", " million", " billion"] };

// A number, a space that no line breaks at, the sign.
export const percent = (share, decimals = 1) => `${(100 * share).toFixed(decimals)}\u00a0%`;

export const sizeWords = (bytes) => scaled(bytes, UNITS.size);
export const countWords = (count) => scaled(count, UNITS.count);

// Each of the words stands for a thousand of the one before it.
function scaled(number, words) {
  for (const word of words.slice(0, -1)) {
    if (number < 999.5) return digits(number) + word;
    number /= 1000;
  }
  return digits(number) + words.at(-1);
}

// Three digits that count.
export function digits(number) {
  if (number !== 0 && Math.abs(number) < 1e-4) {
    const [mantissa, exponent] = number.toExponential(2).split("e-");
    return `${Number(mantissa)}e-${exponent.padStart(2, "0")}`;
  }
  return String(Number(number.toPrecision(3)));
}
