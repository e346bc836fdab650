// The numbers of a chart as comma-separated values: a row a point, a column for each axis, by its title.

const FORMULA = /^\s*[=+\-@\t\r]/; // what a spreadsheet takes a text that begins so for
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

export function rowsOf({ data, layout }) {
  return data.flatMap((trace) => (isGuide(trace) ? [] : "z" in trace ? cells(trace, layout) : points(trace, layout)));
}

export function csvOf(rows) {
  const columns = [...new Set(rows.flatMap(Object.keys))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
  return lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

export function save(rows, name) {
  const address = URL.createObjectURL(new Blob([csvOf(rows)], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: `${name.replace(/[^\w.-]+/g, "-")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

// A line between dots or across the chart, for the eye alone: the pointer skips it, and it has no name.
function isGuide(trace) {
  return trace.hoverinfo === "skip" && !trace.name;
}

function cells(trace, layout) {
  const [across, up] = titles(trace, layout);
  const value = words(trace.colorbar?.title?.text) || "value";
  const rows = trace.z.flatMap((row, k) => row.map((z, column) => {
    const more = trace.customdata?.[k]?.[column]; // the number itself, where the colour is its logarithm or rank
    const place = { ...series(trace), [up]: trace.y?.[k] ?? k, [across]: trace.x?.[column] ?? column };
    return more === undefined ? { ...place, [value]: z } : { ...place, [value]: more, colour: z };
  }));
  return rows.filter((row) => row[value] !== null && row[value] !== undefined);
}

function points(trace, layout) {
  const [across, up] = titles(trace, layout);
  const rows = [];
  for (let k = 0; k < Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0); k += 1) {
    const place = { [across]: trace.x ? trace.x[k] : k, ...(trace.y ? { [up]: trace.y[k] } : {}) };
    if (Object.values(place).some((one) => one === null || one === undefined)) continue;
    rows.push({ ...series(trace), ...place, ...beside(trace, k) });
  }
  return rows;
}

// What a point has beside its place: where its bar begins, the ends of its band, words, more numbers.
function beside(trace, k) {
  const found = { "bar from": at(trace.base, k), text: at(trace.text, k), more: at(trace.customdata, k) };
  for (const axis of ["x", "y"]) {
    const error = trace[`error_${axis}`];
    if (!error) continue;
    found.low = trace[axis][k] - at(error.arrayminus ?? error.array, k);
    found.high = trace[axis][k] + at(error.array, k);
  }
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined && value !== null && value !== ""));
}

const at = (list, k) => (Array.isArray(list) ? list[k] : undefined);
const series = (trace) => (trace.name ? { series: words(trace.name) } : {});

// The titles of a trace's two axes. One that begins with the trace's own name is that of a panel.
function titles(trace, layout) {
  const [across, up] = ["x", "y"].map((axis) => {
    const id = trace[`${axis}axis`] || axis;
    const title = words(layout[id.replace(/^([xy])/, "$1axis")]?.title?.text).replace(`${words(trace.name)} · `, "");
    return title === words(trace.name) ? axis : title || axis;
  });
  return across === up ? ["x", "y"] : [across, up];
}

function words(text) {
  return String(text ?? "").replace(/<br>/g, " ").replace(/<\/?b>/g, "").replace(/&(lt|gt|amp);/g, (one) => ENTITIES[one]);
}

function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const text = typeof value === "string" ? words(value) : JSON.stringify(value);
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
