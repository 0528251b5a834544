// Making elements. Text from the site enters the document here and only as text.

const SVG = "http://www.w3.org/2000/svg";

export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value != null && value !== false) element.setAttribute(name, value);
  }
  // `append` makes text nodes of strings: nothing in them is markup.
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Changes what differs, so that nothing flickers and nothing is read out twice. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function set(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// A shape for each mood: who sees no colours sees these.
const SHAPES = {
  ok: "M5 1.2a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6z",
  busy: "M5 .8 9.4 8.8H.6z",
  bad: "M1 1h8v8H1z",
  idle: "M5 1.2a3.8 3.8 0 1 0 0 7.6 3.8 3.8 0 0 0 0-7.6zm0 1.6a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4z",
};

/** The shape alone, 10 by 10, for the inside of a drawing. */
export function shape(mood) {
  const group = svg("g", { class: `shape ${mood}` }, svg("path", { d: SHAPES[mood] }));
  if (mood === "bad") group.append(svg("path", { d: "M3 3l4 4M7 3l-4 4", class: "cross" }));
  return group;
}

/** The shape as a picture between words. */
export function mark(mood) {
  return svg("svg", { viewBox: "0 0 10 10", class: "mark", "aria-hidden": "true" }, shape(mood));
}

/** A state: shape and word. */
export function state(mood, word) {
  return html("span", { class: `word ${mood}` }, mark(mood), word);
}
