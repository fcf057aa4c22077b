const MEAN = "mean";
const ROW = 19;
const FEW = 5;

/** Sparsity of each layer at each level: a heat map and the same as a table. */
function layersView(section, data) {
  const { curves, layers, recommended } = section;
  const every = curves.flatMap(({ points }) => points.flatMap((point) => point.layers.flat()))
    .filter((value) => value !== null);
  const lowest = Math.floor(every.reduce((a, b) => Math.min(a, b)) / 10) * 10;
  const highest = Math.max(Math.ceil(every.reduce((a, b) => Math.max(a, b)) / 10) * 10, lowest + 10);
  const state = { curve: recommended?.[0] ?? 0, seed: MEAN };
  const plot = el("div", { class: "chart", style: `height: ${90 + ROW * layers.length}px`, role: "img" });
  const seeds = el("span");
  const alternative = el("div");

  function set(changes) {
    Object.assign(state, changes);
    if ("curve" in changes) offerSeeds();
    draw();
    if (alternative.firstChild) alternative.replaceChildren(table());
  }

  const seedsOf = (point) => point.runs.map((number) => String(data.runs[number].seed));

  function offerSeeds() {
    const known = [...new Set(curves[state.curve].points.flatMap(seedsOf))];
    if (!known.includes(state.seed)) state.seed = MEAN;
    seeds.replaceChildren(...(known.length < 2 ? [] : [
      choice("Runs", [[MEAN, "mean over seeds"], ...known.map((seed) => [seed, `seed ${seed}`])],
        state.seed, (seed) => set({ seed })),
    ]));
  }

  /** [layers][levels]; null where there is nothing. */
  function values() {
    const { points } = curves[state.curve];
    return layers.map((_, layer) => points.map((point) => {
      const own = seedsOf(point);
      const found = point.layers.map((run) => run[layer])
        .filter((value, run) => value !== null && [MEAN, own[run]].includes(state.seed));
      return found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
    }));
  }

  function draw() {
    const z = values();
    const levels = curves[state.curve].points.map(({ level }) => percent(level));
    const layout = layoutFor(plot);
    layout.margin = { l: 10, r: 10, t: 46, b: 10 };
    const axis = { showgrid: false, zeroline: false, ticks: "", automargin: true };
    const small = { size: 11 };
    layout.xaxis = {
      ...axis, tickvals: [...levels.keys()], ticktext: levels, tickfont: small, side: "top",
      title: { text: "Sparsity asked for" },
    };
    layout.yaxis = {
      ...axis, tickvals: [...layers.keys()], ticktext: layers.map((name) => shown(short(name, 40))),
      tickfont: small, autorange: "reversed",
    };
    const roomy = levels.length * 45 < plot.clientWidth * 0.6;
    Plotly.react(plot, [{
      type: "heatmap",
      z,
      zmin: lowest,
      zmax: highest,
      colorscale: "Viridis",
      hovertext: z.map((row, layer) => row.map((value, level) =>
        shown(layers[layer]) + `<br>${levels[level]}: ${value === null ? MISSING : `${fixed(value)}% zeros`}`)),
      hoverinfo: "text",
      texttemplate: roomy ? "%{z:.1f}" : "",
      textfont: small,
      showscale: layers.length > FEW,
      xgap: 1,
      ygap: 1,
      colorbar: {
        thickness: 12, ticksuffix: "%", tickfont: small, outlinewidth: 0,
        lenmode: "pixels", len: Math.min(plot.clientHeight - 70, 320), y: 1, yanchor: "top",
      },
    }], layout, CONFIG);
    plot.setAttribute("aria-label", `${section.title}: sparsity of ${layers.length} layers at `
      + `${several(levels.length, "level")}, ${curves[state.curve].label}. The table below has the numbers.`);
  }

  function table() {
    const { label, points } = curves[state.curve];
    return sortable({
      title: `${section.title}: sparsity of each layer, ${label}`,
      columns: ["Layer", ...points.map(({ level }) => percent(level))],
      rows: values().map((row, layer) => [layers[layer],
        ...row.map((value) => (value === null ? MISSING : fixed(value)))]),
      note: "Exact zeros, in % of the layer’s weights.",
      textColumns: 1,
    });
  }

  offerSeeds();
  lazily(plot, draw);
  return [
    el("div", { class: "controls" },
      curves.length > 1 ? choice("Method", [...curves.entries()].map(([k, v]) => [String(k), v.label]),
        String(state.curve), (value) => set({ curve: Number(value) })) : null,
      seeds),
    el("figure", {}, plot, el("figcaption", {},
      "Exact zeros in each prunable weight matrix, in %. The colours are the same for all methods of the task.")),
    folded("Sparsity of each layer as a table", () => {
      alternative.replaceChildren(table());
      return alternative;
    }),
  ];
}
