// What a choice of bits leads to, in the sentences that Python gave, with the numbers of this choice in them.

import { countWords, digits, sizeWords } from "../words/numbers.js";

export function verdict(follows, own, found, words) {
  const least = Math.min(...follows.sqnr);
  const below = follows.sqnr.filter((db) => db < found.cliff_db).length;
  const said = {
    below,
    layers: follows.sqnr.length,
    cliff: found.cliff_db,
    worst: found.paths[follows.sqnr.indexOf(least)],
    least: least.toFixed(0),
    size: sizeWords(follows.size),
    times: (found.float_bytes / follows.size).toFixed(1),
    operations: countWords(follows.operations),
    kl: follows.kl === null ? "" : digits(follows.kl),
    own: own.kl === null ? "" : digits(own.kl),
    than: follows.kl < own.kl ? words.less : words.more,
  };
  said.fallen = filled(below ? words.some : words.none, said);
  said.costs = filled(words.costs, said);
  if (follows.kl === null) return filled(words.unknown, said);
  const same = ["size", "operations", "kl"].every((name) => follows[name] === own[name]);
  return filled(same ? words.same : words.other, said);
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The two marks of Markdown that the sentences have; names from outside stay text.
export function write(place, text) {
  place.replaceChildren(
    ...text.split(/(\*\*.+?\*\*|`[^`]+`)/).map((part) => {
      const kind = part.startsWith("**") ? "b" : part.startsWith("`") ? "code" : null;
      if (!kind) return document.createTextNode(part);
      return Object.assign(document.createElement(kind), { textContent: part.replace(/^(\*\*|`)|(\*\*|`)$/g, "") });
    }),
  );
}
