const MOST_DRAWN = 12;
const NARROW = 500;
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Score against sparsity: the chart of a section with its controls and what a point says. */
function curvesView(section, data) {
  const { curves, recommended, metrics, sets } = section;
  const withPhases = curves.flatMap(({ phases }, place) => (phases ? [place] : []));
  const best = recommended?.[0] ?? 0;
  const others = [...curves.keys()].filter((place) => place !== best);
  const levels = [...new Set(curves.flatMap(({ points }) => points.map(({ level }) => level)))];
  const state = {
    metric: 0,
    set: 0,
    phases: withPhases.includes(best) ? best : withPhases[0] ?? -1,
    chance: true,
    visible: new Set([best, ...others].slice(0, MOST_DRAWN)),
    at: recommended,
  };
  const plot = el("div", {
    class: "chart", tabindex: 0, role: "application", onkeydown: walk,
    "aria-roledescription": "interactive chart",
  });
  const caption = el("figcaption");
  const detail = el("div", { class: "detail", "aria-live": "polite" });
  const phasesChoice = choice("Phases of", [
    ...withPhases.map((place) => [String(place), curves[place].label]), ["-1", "no method"],
  ], String(state.phases), (value) => set({ phases: Number(value) }));
  const chanceTick = tick(["Majority class"], true, (value) => set({ chance: value }));
  const pick = (name, texts, key) => (texts.length < 2 ? null
    : choice(name, texts.map((text, place) => [String(place), text]), "0",
      (value) => set({ [key]: Number(value) })));

  function set(changes) {
    Object.assign(state, changes);
    draw();
    describe();
  }

  const scoreOf = (point) => point.scores[state.set][state.metric];
  /** Phases and the majority class are those of the first metric on the first set. */
  const primary = () => state.metric === 0 && state.set === 0;
  const shaded = () => primary() && state.phases >= 0;

  function draw() {
    const drawn = [...curves.keys()].filter((place) => state.visible.has(place));
    const edges = axisEnds();
    const lines = levelLines(acrossLines());
    const areas = shaded() ? phaseAreas(curves[state.phases].phases, edges)
      : { shapes: [], annotations: [] };
    const traces = drawn.flatMap((place) => curveTraces(curves[place], place));
    const marks = [];
    if (section.generated) marks.push(generatedMark(data.mark));
    if (state.visible.has(recommended?.[0])) {
      const point = curves[recommended[0]].points[recommended[1]];
      const { trace, annotation } = recommendedMark(point.level, scoreOf(point).value, edges);
      traces.push(trace);
      marks.push(annotation);
    }
    const heights = [...traces.flatMap(({ y }) => y), ...lines.shapes.map(({ y0 }) => y0)];
    const [bottom, top] = heights.length ? [Math.min(...heights), Math.max(...heights)] : [0, 100];
    const room = (top - bottom || 1) * 0.08;
    const axis = { gridcolor: colour("line"), zeroline: false, automargin: true };
    const layout = {
      ...layoutFor(plot),
      xaxis: {
        ...axis, range: edges, title: { text: "Sparsity of the prunable weights (%)" },
        ...(levels.length <= 9 ? { tickvals: levels } : {}),
      },
      yaxis: { ...axis, range: [bottom - room, top + room], title: { text: shown(scale()) } },
      shapes: [...areas.shapes, ...lines.shapes],
      annotations: [...lines.annotations, ...areas.annotations, ...marks],
    };
    layout.margin.t = section.generated ? 30 : 14;
    const isNew = !plot.on;
    Plotly.react(plot, traces, layout, CONFIG);
    if (isNew) {
      const chosen = ({ points: [point] }) => show([point.data.meta, point.pointIndex]);
      plot.on("plotly_hover", chosen).on("plotly_click", chosen); // a tap is no hover
    }
    tell();
  }

  function scale() {
    return metrics[state.metric] + (sets.length > 1 ? `, ${sets[state.set]}` : "");
  }

  /** Both ends of the horizontal axis, with some room beside the levels. */
  function axisEnds() {
    const [low, high] = [Math.min(...levels), Math.max(...levels)];
    const room = 0.06 * Math.max(high - low, 5);
    return [Math.max(low - room, 0), Math.min(high + room, 100)];
  }

  /** The dense baseline and the majority class. */
  function acrossLines() {
    const found = [];
    if (section.dense) {
      const { value } = section.dense[state.set][state.metric];
      found.push([`${section.start} baseline, ${section.denseSeeds}`, value, "ink", "dash", 1]);
    }
    if (primary() && state.chance && section.chance !== null) {
      found.push(["majority class", section.chance, "faint", "dot", 0]);
    }
    return found;
  }

  function curveTraces(curve, place) {
    const { colour: name, symbol, dash } = look(place);
    const x = curve.points.map(({ level }) => level);
    const scores = curve.points.map(scoreOf);
    const intervals = scores.map(({ value, interval }) => interval ?? [value, value]);
    // a band through one point has no width
    const alone = x.length === 1 && errorBar(scores[0].value, intervals[0]);
    const opacity = Math.max(0.14 * Math.min(1, 4 / state.visible.size), 0.05);
    return [band(x, intervals, name, opacity), {
      type: "scatter",
      mode: "lines+markers",
      meta: place,
      x,
      y: scores.map(({ value }) => value),
      hovertext: curve.points.map((point) => hover(curve, point)),
      hoverinfo: "text",
      line: { color: colour(name), dash, width: 2 },
      marker: { symbol, size: 9 },
      cliponaxis: false,
      ...(alone ? { error_y: alone } : {}),
    }];
  }

  /** What stands around the chart and depends on what it shows. */
  function tell() {
    caption.textContent = [
      state.metric === 0 ? "Bands are 95% intervals." : "Intervals are those of the first metric only.",
      shaded() ? "Bars at the foot show where phases may begin." : "",
      COARSE ? "" : "Drag to look closer, double-click to go back.",
    ].join(" ");
    plot.setAttribute("aria-label", `${section.title}: ${scale()} against sparsity. `
      + "Arrow keys go from point to point; the tables below have the same numbers.");
    phasesChoice.lastChild.disabled = !primary();
    chanceTick.firstChild.disabled = !primary();
  }

  function hover(curve, point) {
    const { value, interval, drop, dropInterval } = scoreOf(point);
    const within = (ends) => (ends ? ` (95%: ${range(ends)})` : "");
    const [run, ...rest] = point.runs.map((number) => data.runs[number]);
    const widest = plot.clientWidth / 12;
    const made = [run.name, data.commands[run.command]].map((text) => short(text, widest));
    if (rest.length) made[0] += `, and ${rest.length} more`;
    return [
      `${short(curve.label, widest)}, ${percent(point.level)} sparsity`,
      `${metrics[state.metric]}: ${fixed(value)}${within(interval)}, ${point.seeds}`,
      ...(drop === undefined ? [] : [`drop: ${fixed(drop)}${within(dropInterval)}`]),
      ...(plot.clientWidth < NARROW ? [] : made),
    ].map(shown).join("<br>");
  }

  function show(place) {
    if (String(place) === String(state.at)) return;
    state.at = place;
    describe();
  }

  /** What the point says, in full, under the chart. */
  function describe() {
    if (!state.at) {
      detail.replaceChildren("Hover or tap a point, or go there with the arrow keys.");
      return;
    }
    const [place, number] = state.at;
    const point = curves[place].points[number];
    const made = new Map();
    for (const run of point.runs.map((run) => data.runs[run])) {
      made.set(run.command, [...(made.get(run.command) ?? []), run.name]);
    }
    const mark = String(state.at) === String(recommended) ? " (recommended)" : "";
    detail.replaceChildren(
      el("h4", {}, `${curves[place].label}, ${percent(point.level)} sparsity${mark}`),
      el("dl", {}, ...facts(point).map(([term, text]) =>
        el("div", {}, el("dt", {}, term), el("dd", {}, text)))),
      el("div", { class: "tall" }, ...[...made].flatMap(([own, names]) => [
        el("p", { class: "note" }, `Made ${names.join(", ")}:`), command(data.commands[own]),
      ])),
    );
  }

  function facts(point) {
    const { value, spread, interval, drop, dropInterval } = scoreOf(point);
    return [
      [metrics[state.metric], fixed(value) + (spread === undefined ? "" : ` ± ${fixed(spread)}`)],
      interval && ["95% interval", range(interval)],
      drop !== undefined && ["Drop in points", fixed(drop)],
      dropInterval && ["95% interval of the drop", range(dropInterval)],
      ["Models", point.seeds],
      ["Achieved sparsity", `${fixed(point.sparsity)}%`],
      point.compression !== null && ["Compression", `${fixed(point.compression)}×`],
      ["Model", `${fixed(point.model)}×`],
    ].filter(Boolean);
  }

  /** Arrow keys: left and right along a curve, up and down to another one. */
  function walk(event) {
    const step = STEPS[event.key];
    const drawn = [...curves.keys()].filter((place) => state.visible.has(place));
    if (!step || !drawn.length) return;
    event.preventDefault();
    const held = (value, last) => Math.min(Math.max(value, 0), last);
    const [place, number] = state.visible.has(state.at?.[0]) ? state.at : [drawn[0], -step[1]];
    const across = drawn[held(drawn.indexOf(place) + step[0], drawn.length - 1)];
    const along = held(number + step[1], curves[across].points.length - 1);
    show([across, along]);
    const curveNumber = plot.data.findIndex(({ meta }) => meta === across);
    Plotly.Fx.hover(plot, [{ curveNumber, pointNumber: along }]);
  }

  lazily(plot, draw);
  describe();
  return [
    el("div", { class: "controls" },
      pick("Metric", metrics, "metric"),
      pick("Set", sets, "set"),
      withPhases.length ? phasesChoice : null,
      section.chance === null ? null : chanceTick),
    methodsChoice(curves, state.visible, () => set({})),
    el("figure", {}, plot, caption),
    detail,
  ];
}
