// Fills a slider's track up to its thumb (slider.css): to be called wherever its value or its ends change.

export function fill(range) {
  const span = Number(range.max) - Number(range.min);
  range.style.setProperty("--at", `${span > 0 ? (100 * (Number(range.value) - Number(range.min))) / span : 0}%`);
}
