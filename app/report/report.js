// Draws the charts in the page's colours, moves the film, hands out numbers. Nothing is fetched.
const data = JSON.parse(document.getElementById("data").textContent);
const charts = [...document.querySelectorAll("[data-figure]")];
const named = (place, what, k) => `${document.body.dataset.run}_${place.closest("section").id}-${what}-${k + 1}`;
const hovers = matchMedia("(hover: hover)").matches && "hover";
const buttons = charts.map((place, k) => ({
  name: "numbers",
  title: "The numbers as CSV",
  icon: Plotly.Icons.disk,
  click: () => save(rowsOf(data.figures[Number(place.dataset.figure)]), named(place, "chart", k)),
}));
const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();

function draw() {
  for (const [k, place] of charts.entries()) {
    const figure = data.figures[Number(place.dataset.figure)];
    const font = { ...figure.layout.font, color: ink() };
    const layout = { ...figure.layout, font, autosize: true };
    const config = { responsive: true, displaylogo: false, displayModeBar: hovers, modeBarButtons: [[buttons[k]]] };
    Plotly.react(place, figure.data, layout, config);
  }
}

draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("beforeprint", () => charts.forEach((place) => Plotly.relayout(place, { width: 640, "font.color": "#000" })));
addEventListener("afterprint", draw);

for (const place of document.querySelectorAll("[data-film]")) {
  const film = data.films[Number(place.dataset.film)];
  const [picture, slider, told] = ["img", "input", "output"].map((name) => place.querySelector(name));
  slider.addEventListener("input", () => {
    const frame = film[Number(slider.value)];
    picture.src = frame.picture;
    told.textContent = frame.step;
  });
}

for (const [k, place] of [...document.querySelectorAll(".table")].entries()) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "numbers-of", textContent: "CSV" });
  button.addEventListener("click", () => save(rowsOfTable(place), named(place, "table", k)));
  place.after(button);
}

function rowsOfTable(place) {
  const [head, ...rows] = [...place.querySelectorAll("tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
  return rows.map((row) => Object.fromEntries(row.map((cell, k) => [head[k] || `column ${k + 1}`, cell])));
}
