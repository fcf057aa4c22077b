"use strict";

/** An element; what is inside is made text, never markup. `onclick` and the like are listeners. */
function el(tag, attributes, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...inside.filter((child) => child != null));
  return node;
}

/** A labelled select; `options` are [value, text] pairs, `change` is given the chosen value. */
function choice(label, options, chosen, change) {
  const select = el("select", { onchange: () => change(select.value) },
    ...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
  return el("label", {}, `${label} `, select);
}

/** A labelled checkbox. */
function tick(inside, checked, change) {
  const box = el("input", { type: "checkbox", checked, onchange: () => change(box.checked) });
  return el("label", {}, box, " ", ...inside);
}

/** A command with a button that copies it; where that is forbidden, the button selects it. */
function command(text) {
  const code = el("code", {}, text);
  const button = el("button", {
    type: "button",
    "aria-label": `Copy the command ${text.slice(0, 80)}`,
    async onclick() {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    },
  }, "Copy");
  return el("div", { class: "command" }, code, button);
}

/** What is folded away until asked for, and made only then. */
function folded(title, make) {
  const details = el("details", {}, el("summary", {}, title));
  details.addEventListener("toggle", () => details.append(make()), { once: true });
  return details;
}

/** Cut where it would not fit. */
function short(text, limit) {
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

function fixed(value) {
  return value.toFixed(2).replace("-", "−");
}

/** A level as people write it: 50%, 97.5%. */
function percent(value) {
  return `${Number(value.toFixed(2))}%`;
}

function range([low, high]) {
  return `${fixed(low)} to ${fixed(high)}`;
}

function several(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
