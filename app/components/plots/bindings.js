// How events extend a figure: what app/charts/bindings.py says in words, applied to the live page.

const MOST_POINTS = 1200;
const MOST_COLUMNS = 256; // what a map of half a page can show
const SMALLEST = 1e-4;

export function extend(figure, bindings, event) {
  let changed = false;
  for (const binding of bindings) {
    if (!matches(binding, event)) continue;
    ACTIONS[binding.do](figure, binding, event);
    changed = true;
  }
  return changed;
}

function matches(binding, event) {
  if (event.kind !== binding.on) return false;
  return Object.entries(binding.where || {}).every(([key, value]) => event[key] === value);
}

function at(event, path) {
  return path.split(".").reduce((value, key) => (value == null ? undefined : value[key]), event);
}

const rounded = (value) => Number(value.toPrecision(4));
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
const second = (list) => list.filter((_, index) => index % 2 === 0);

function append(figure, binding, event) {
  restart(figure, binding, event);
  addPoint(figure.data[binding.trace], at(event, binding.x), at(event, binding.y));
}

function appendEach(figure, binding, event) {
  restart(figure, binding, event);
  for (const [name, value] of Object.entries(at(event, binding.group) || {})) {
    let trace = figure.data.find((one) => one.name === name);
    if (!trace) {
      const color = binding.colours[figure.data.length % binding.colours.length];
      trace = { ...binding.template, name, x: [], y: [], line: { color } };
      figure.data.push(trace);
    }
    addPoint(trace, at(event, binding.x), value);
  }
}

function restart(figure, binding, event) {
  if (!binding.restart) return;
  const part = at(event, binding.restart);
  figure.layout.title = figure.layout.title || {};
  if (figure.layout.title.text === part) return;
  figure.layout.title.text = part;
  for (const trace of figure.data) [trace.x, trace.y] = [[], []];
}

function addPoint(trace, x, y) {
  if (x === null || x === undefined || y === null || y === undefined) return;
  while (trace.x.length && trace.x[trace.x.length - 1] >= x) {
    trace.x.pop();
    trace.y.pop();
  }
  trace.x.push(x);
  trace.y.push(known(y) ? rounded(y) : null);
  if (trace.x.length > MOST_POINTS) [trace.x, trace.y] = [second(trace.x), second(trace.y)];
}

function column(figure, binding, event) {
  const trace = figure.data[binding.trace];
  const x = at(event, binding.x);
  const values = at(event, binding.z);
  if (!values || values.length !== trace.z.length) return;
  while (trace.x.length && trace.x[trace.x.length - 1] >= x) {
    trace.x.pop();
    for (const row of [...trace.z, ...trace.customdata]) row.pop();
  }
  trace.x.push(x);
  values.forEach((value, row) => {
    trace.z[row].push(known(value) ? rounded(Math.log10(Math.max(value, SMALLEST))) : null);
    trace.customdata[row].push(known(value) ? rounded(value) : null);
  });
  if (trace.x.length > MOST_COLUMNS) {
    trace.x = second(trace.x);
    trace.z = trace.z.map(second);
    trace.customdata = trace.customdata.map(second);
  }
}

function fill(figure, binding, event) {
  restart(figure, binding, event);
  for (const one of binding.fills) {
    if (one.axis) {
      figure.layout[one.axis].tickvals = at(event, one.value) || [];
      continue;
    }
    const trace = figure.data[one.trace];
    if (one.once && trace.x.length) continue;
    const x = at(event, one.x) || [];
    const found = typeof one.y === "string" ? at(event, one.y) : one.y;
    const y = Array.isArray(found) || !known(found) ? found || [] : x.map(() => found);
    const kept = one.add ? [trace.x, trace.y] : [[], []];
    [trace.x, trace.y] = [[...kept[0], ...x], [...kept[1], ...y]];
    if (one.z) trace.z = at(event, one.z) || [];
  }
}

function put(figure, binding, event) {
  const trace = figure.data[binding.trace];
  const place = trace.x.indexOf(at(event, binding.at));
  let value = at(event, binding.value);
  if (place < 0 || value === null || value === undefined) return;
  if (binding.as === "error-share") value = 10 ** (-value / 20);
  trace.y[place] = rounded(value);
  if (!binding.above) return;
  const reached = binding.above.find(([level]) => value > level);
  trace.marker.color[place] = reached ? reached[1] : binding.colour;
}

const ACTIONS = { append, "append-each": appendEach, column, fill, put };
