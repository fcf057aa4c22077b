/** Lines across the chart, as [name, value, colour, dash, end at which the name stands]. */
function levelLines(lines) {
  return {
    shapes: lines.map(([, value, name, dash]) => ({
      type: "line", xref: "paper", x0: 0, x1: 1, y0: value, y1: value,
      line: { color: colour(name), width: 1.5, dash },
    })),
    annotations: lines.map(([title, value, name, , x]) => ({
      text: `${title} ${value.toFixed(1)}`, showarrow: false, font: { color: colour(name) },
      xref: "paper", x, y: value, xanchor: x ? "right" : "left", yanchor: "bottom",
    })),
  };
}

/** A curve's phases between the ends of the axis, and at the foot how sure their places are. */
function phaseAreas({ knee, collapse }, [left, right]) {
  const within = (level) => Math.min(Math.max(level, left), right);
  const [one, other] = [knee, collapse].map(([level]) => within(level ?? right));
  const spans = [["safe", left, one], ["knee", one, other], ["collapse", other, right]]
    .filter(([, from, to]) => to > from);
  const areas = spans.map(([name, x0, x1]) => ({
    type: "rect", layer: "below", yref: "paper", x0, x1, y0: 0, y1: 1,
    fillcolor: colour(name), line: { width: 0 },
  }));
  const bars = [knee, collapse]
    .filter(([, low, high]) => low !== null && low < right && (high ?? right) > left)
    .map(([, low, high]) => ({
      type: "line", yref: "paper", y0: 0, y1: 0,
      x0: within(low), x1: within(high ?? right),
      line: { color: colour("faint"), width: 6 },
    }));
  const names = spans.filter(([, from, to]) => to - from > 0.12 * (right - left))
    .map(([text, from, to]) => ({
      text, showarrow: false, font: { color: colour("faint") },
      x: (from + to) / 2, yref: "paper", y: 0.01, yanchor: "bottom",
    }));
  return { shapes: [...areas, ...bars], annotations: names };
}

/** The words that no reader of a chart on generated data can miss. */
function generatedMark(text) {
  return {
    text: text.toUpperCase(), showarrow: false, xref: "paper", yref: "paper", x: 1, y: 1,
    xanchor: "right", yanchor: "bottom", font: { color: colour("warn"), size: 14 },
  };
}

/** A ring around the recommended point, as a trace, and the words that belong to it. */
function recommendedMark(x, y, [left, right]) {
  return {
    trace: {
      type: "scatter", mode: "markers", x: [x], y: [y], hoverinfo: "skip",
      marker: { symbol: "circle-open", size: 21, color: colour("ink"), line: { width: 2 } },
    },
    annotation: {
      text: `recommended: ${percent(x)}`, x, y, ax: 0, ay: 48, standoff: 11,
      arrowcolor: colour("ink"), arrowhead: 0, bgcolor: colour("paper", 0.75),
      xanchor: x < left + (right - left) / 5 ? "left" : "center",
    },
  };
}

/** One 95% interval as a bar. */
function errorBar(value, [low, high]) {
  return { type: "data", symmetric: false, array: [high - value], arrayminus: [value - low] };
}

/** The 95% intervals of a curve as an area. */
function band(x, intervals, name, opacity) {
  return {
    type: "scatter",
    mode: "lines",
    x: [...x, ...x.toReversed()],
    y: [...intervals.map(([low]) => low), ...intervals.map(([, high]) => high).toReversed()],
    fill: "toself",
    fillcolor: colour(name, opacity),
    line: { width: 0 },
    hoverinfo: "skip",
  };
}
