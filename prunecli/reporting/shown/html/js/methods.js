const MARKERS = [
  ["circle", "●"], ["square", "■"], ["triangle-up", "▲"], ["diamond", "◆"],
  ["triangle-down", "▼"], ["cross", "✚"], ["x", "✖"],
];
const DASHES = [["solid", "━"], ["dash", "╍"], ["dashdot", "┅"]];

/** Colour, marker and line of a curve: where a colour comes again, the others differ. */
function look(number) {
  const again = Math.floor(number / MARKERS.length);
  const [symbol, mark] = MARKERS[(number + 3 * again) % MARKERS.length];
  const [dash, line] = DASHES[again % DASHES.length];
  return { colour: `curve-${number % MARKERS.length}`, symbol, dash, sample: `${line}${mark}${line} ` };
}

/** Which curves are drawn, by their places in the set `visible`; also the chart's legend. */
function methodsChoice(curves, visible, changed) {
  const legend = el("legend");
  const ticks = curves.map(({ label }, place) => {
    const { sample, colour: name } = look(place);
    const swatch = el("span", { style: `color: var(--${name})`, "aria-hidden": "true" }, sample);
    return tick([swatch, label], visible.has(place), (on) => turn(on, [place]));
  });

  function turn(on, places) {
    for (const place of places) {
      ticks[place].firstChild.checked = on;
      if (on) visible.add(place);
      else visible.delete(place);
    }
    count();
    changed();
  }

  function count() {
    const some = visible.size < curves.length ? ` (${visible.size} of ${curves.length} drawn)` : "";
    legend.textContent = `Methods${some}`;
  }

  const all = (text, on) =>
    el("button", { type: "button", onclick: () => turn(on, curves.keys()) }, text);
  count();
  return el("fieldset", {}, legend,
    curves.length > 3 ? el("div", { class: "all" }, all("All", true), all("None", false)) : null,
    el("div", { class: "methods" }, ...ticks));
}
