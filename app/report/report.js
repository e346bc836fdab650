// Draws the charts in the page's colours, and moves the film. Nothing is fetched.
const data = JSON.parse(document.getElementById("data").textContent);
const charts = [...document.querySelectorAll("[data-figure]")];
const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();

function draw() {
  for (const place of charts) {
    const figure = data.figures[Number(place.dataset.figure)];
    const font = { ...figure.layout.font, color: ink() };
    const layout = { ...figure.layout, font, autosize: true };
    Plotly.react(place, figure.data, layout, { responsive: true, displaylogo: false, displayModeBar: false });
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
