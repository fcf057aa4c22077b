const byId = (id) => document.getElementById(id);
const root = document.documentElement;

function badge(data) {
  return el("span", { class: "badge" }, data.mark);
}

/** One task's part of the page. */
function sectionView(section, place, data) {
  const { tables, curves } = section;
  const tableOf = (name) => (tables[name] ? [sortable(tables[name])] : []);
  const part = (title, ...inside) => (inside.length ? [el("h3", {}, title), ...inside] : []);
  const view = el("section", {
    id: `task-${place}`, class: `task${section.generated ? " generated" : ""}`,
    "aria-labelledby": `task-${place}-title`,
  });
  view.append(
    el("h2", { id: `task-${place}-title` }, section.title, ...(section.generated ? [" ", badge(data)] : [])),
    el("dl", { class: "facts" }, ...section.facts.flatMap(([term, text]) =>
      [el("dt", {}, term), el("dd", {}, text)])),
    ...(section.dense ? [] : [el("p", { class: "warning" },
      "The baseline these runs were pruned from is not in the workspace or was not scored alike, "
      + "so no drop can be given.")]),
  );
  if (curves.length) view.append(el("p", { class: "answer" }, section.sentence));
  view.append(...section.choices.map((sentence) => el("p", { class: "answer" }, sentence)));
  view.append(...tableOf("baseline"));
  const deployed = part("Size and latency", ...tableOf("deployed"), ...(section.picture ? [
    el("img", { class: "picture", src: section.picture.source, alt: section.picture.alt })] : []));
  const cut = part("Heads and neurons cut out", ...tableOf("cut"));
  if (!curves.length) {
    view.append(...cut, ...deployed, ...part("Methods side by side", ...tableOf("comparison")),
      ...part("Beyond the average", ...tableOf("change")), ...part("Time", ...tableOf("seconds")));
    return view;
  }
  const phases = curves.flatMap((curve) => curve.phases ?? []);
  view.append(
    ...part("Curves", ...curvesView(section, data),
      folded("The curves as tables", () => el("div", {}, ...section.results.map((table) => sortable(table))))),
    ...part("All methods", ...tableOf("levels")),
    ...cut,
    ...part("Phases", ...(phases.length ? [
      el("ul", {}, ...phases.map(({ sentence }) => el("li", {}, sentence))),
      el("p", { class: "note" }, data.rule)] : [])),
    ...part("Methods side by side", ...comparisonsView(tables)),
    ...part("Published beside measured", ...tableOf("published")),
    ...part("Score against size", ...tableOf("pareto")),
    ...deployed,
    ...part("Sparsity of each layer", ...layersView(section, data)),
    ...part("Beyond the average", ...tableOf("change")),
    ...part("Flipped examples", ...tableOf("fragile").map((table) => el("div", { class: "fragile" }, table))),
    ...part("Time", ...tableOf("seconds")),
  );
  return view;
}

/** Every kind of comparison; the rows of a long one are folded away. */
function comparisonsView(tables) {
  return Object.entries(tables).filter(([name]) => name.startsWith("comparison")).map(([name, table]) =>
    (name.endsWith("-rows") ? folded(several(table.rows.length, "row"), () => sortable(table)) : sortable(table)));
}

function summaryView(data) {
  return [
    ...(data.summary.rows.length ? [sortable(data.summary, false)] : []),
    el("ul", {}, ...data.sections.map((section, place) => el("li", {},
      el("a", { href: `#task-${place}` }, section.title), ...(section.generated ? [" ", badge(data)] : []),
      `: ${section.sentence}`,
      section.distinction ? ` This is the one with ${section.distinction}.` : null,
      section.choices.length ? el("ul", {}, ...section.choices.map((text) => el("li", {}, text))) : null))),
  ];
}

function readingView(data) {
  const tags = { "": "span", "*": "em", "**": "strong", "`": "code" };
  return el("ul", {}, ...data.reading.map((item) =>
    el("li", {}, ...item.map(([mark, text]) => el(tags[mark], {}, text)))));
}

function madeView(data) {
  const runs = () => sortable({
    title: "Every run",
    columns: ["Run", "Task", "Method", "Sparsity", "Seed", "Made", "Seconds", "Command"],
    rows: data.runs.map((run) => [
      run.name, data.sections[run.section].title, run.method,
      run.level === null ? MISSING : percent(run.level),
      String(run.seed), run.created, run.seconds.toFixed(1), String(run.command + 1),
    ]),
    note: "Command: its number in the list above. Seconds: wall-clock time, all parts together.",
    textColumns: 3,
  });
  return [
    el("ul", {}, ...data.made.map((line) => el("li", {}, line))),
    el("h3", {}, "Commands"),
    el("ol", { class: "tall" }, ...data.commands.map((text) => el("li", {}, command(text)))),
    folded(several(data.runs.length, "run"), runs),
  ];
}

function offerTasks(data, views) {
  byId("task").append(el("option", { value: "all" }, "All"),
    ...data.sections.map(({ title }, place) => el("option", { value: place }, short(title, 60))));
  byId("task").addEventListener("change", ({ target: { value } }) => {
    views.forEach((view, place) => { view.hidden = value !== "all" && value !== String(place); });
    byId("tasks").scrollIntoView();
  });
  byId("task-choice").hidden = data.sections.length < 2;
}

function themes() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.style.colorScheme || (system.matches ? "dark" : "light")) === "dark";
  const tell = () => {
    byId("theme").setAttribute("aria-pressed", isDark());
    redraw();
  };
  byId("theme").addEventListener("click", () => {
    root.style.colorScheme = isDark() ? "light" : "dark";
    tell();
  });
  system.addEventListener("change", tell);
  tell();
}

/** Paper is white, and as wide as it is. */
function printing() {
  let before = "";
  addEventListener("beforeprint", () => {
    before = root.style.colorScheme;
    root.style.colorScheme = "light";
    root.classList.add("printing");
    redraw(true);
  });
  addEventListener("afterprint", () => {
    root.style.colorScheme = before;
    root.classList.remove("printing");
    redraw();
  });
}

function page() {
  const data = JSON.parse(byId("data").textContent);
  byId("reading").append(readingView(data));
  if (!data.sections.length) {
    byId("summary").append(el("p", {}, "There are no finished runs to report on."));
    byId("made").hidden = true;
    return;
  }
  const marked = data.sections.filter(({ generated }) => generated).length;
  byId("generated").hidden = !marked;
  byId("generated").append(marked === data.sections.length
    ? `All results here are on ${data.mark}: they say nothing about real tasks.`
    : `Parts marked “${data.mark}” say nothing about real tasks.`);
  byId("summary").append(...summaryView(data));
  const views = data.sections.map((section, place) => sectionView(section, place, data));
  byId("tasks").append(...views);
  byId("made").append(...madeView(data));
  offerTasks(data, views);
  themes();
  printing();
}

page();
