const CONFIG = { displayModeBar: false, doubleClick: "reset", typesetMath: false };
const COARSE = matchMedia("(pointer: coarse)").matches;

/** Text as the plotting library shows it unchanged: it reads a part of HTML. */
function shown(text) {
  const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  return text.replace(/[&<>]/g, (letter) => escapes[letter]);
}

/** A colour of the style sheet as it is in the theme of the moment. */
function colour(name, opacity = 1) {
  const probe = el("span", { style: `color: var(--${name})` });
  document.body.append(probe);
  const [, channels] = getComputedStyle(probe).color.match(/\((.*)\)/);
  probe.remove();
  return `rgba(${channels}, ${opacity})`;
}

/** What all charts have in common; `node` is the one it is for. */
function layoutFor(node) {
  return {
    width: node.clientWidth,
    height: node.clientHeight,
    margin: { l: 56, r: 14, t: 14, b: 50 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    hoverlabel: {
      align: "left",
      bgcolor: colour("raised"),
      bordercolor: colour("faint"),
      font: { color: colour("ink"), size: 13 },
    },
    hovermode: "closest",
    dragmode: COARSE ? false : "zoom",
    showlegend: false,
  };
}

const charts = new Map();

/** Draws a chart when it first comes near the screen, and again whenever its width changes. */
function lazily(node, draw) {
  charts.set(node, { draw, width: 0 });
  approaching.observe(node);
}

const approaching = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    approaching.unobserve(target);
    resized.observe(target);
  }
}, { rootMargin: "400px" });

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) fit(target);
});

/** Draws again what was drawn, or all, in the colours of the moment; what is hidden, when shown. */
function redraw(all = false) {
  for (const [node, chart] of charts) {
    if (!chart.width && !all) continue;
    chart.width = 0;
    fit(node);
  }
}

function fit(node) {
  const chart = charts.get(node);
  if (!node.clientWidth || node.clientWidth === chart.width) return;
  chart.width = node.clientWidth;
  chart.draw();
}
