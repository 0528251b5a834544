// Small charts of the last quarter of an hour. Lines differ in stroke, not only in colour.

import { html, svg, say, set } from "./elements.js";
import { clock } from "./words.js";

const WINDOW = 15 * 60_000;
/** Points of five seconds: as fine as the eye can tell at this size. */
const STEP = 5_000;
const HEIGHT = 84;

/** Joins seconds into steps that stay where they are while time goes on. */
export function steps(points) {
  const made = [];
  let slot = null;
  for (const point of points) {
    const index = Math.floor(point.at_ms / STEP);
    if (slot?.index !== index) made.push((slot = { index, at: index * STEP, points: [] }));
    slot.points.push(point);
  }
  return made;
}

export const mean = (key) => (points) => points.reduce((sum, p) => sum + p[key], 0) / points.length;
export const most = (key) => (points) => {
  const known = points.map((p) => p[key]).filter((value) => value != null);
  return known.length ? Math.max(...known) : null;
};

/** One set of axes. `lines`: { kind, of(points) }; `unit`: value → text; `log`: a logarithmic height. */
export class Plot {
  constructor({ lines, unit, log = false, height = HEIGHT, least = 1 }) {
    Object.assign(this, { lines, unit, log, height, least, width: 300, steps: [] });
    this.grid = svg("g", { class: "grid" });
    this.labels = svg("g", { class: "grid" });
    this.paths = lines.map(({ kind }) => svg("path", { class: `line ${kind}` }));
    this.areas = lines.map(({ kind, area }) => area && svg("path", { class: `area ${kind}` }));
    this.cursor = svg("line", { class: "cursor", y1: 0, y2: height, hidden: "" });
    this.element = svg("svg", { class: "plot", height, "aria-hidden": "true" },
      this.grid, ...this.areas.filter(Boolean), ...this.paths, this.labels, this.cursor);
    new ResizeObserver(([entry]) => {
      this.width = Math.max(120, entry.contentRect.width);
      this.draw();
    }).observe(this.element);
  }

  show(all, until) {
    this.steps = all;
    this.until = until;
    this.draw();
  }

  draw() {
    if (!this.until) return;
    const values = this.lines.map((line) => this.steps.map((step) => line.of(step.points)));
    const top = nice(Math.max(this.least, ...values.flat().filter((value) => value != null)), this.log);
    const lowest = Math.min(top, ...values.flat().filter((value) => value > 0));
    const bottom = this.log ? Math.min(top / 10, 10 ** Math.floor(Math.log10(lowest))) : 0;
    const x = (at) => this.width * (1 - (this.until - at) / WINDOW);
    const y = (value) => {
      const share = this.log
        ? Math.log(Math.max(value, bottom) / bottom) / Math.log(top / bottom)
        : value / top;
      return (this.height - 1) - share * (this.height - 12);
    };
    set(this.element, "viewBox", `0 0 ${this.width} ${this.height}`);
    this.drawGrid(top, bottom, y);
    values.forEach((line, index) => {
      const runs = this.runs(line, x, y);
      set(this.paths[index], "d", runs.map((run) => `M${run.join("L")}`).join(""));
      if (this.areas[index]) {
        const closed = runs.map((run) => {
          const [from] = run[0].split(" ");
          const [to] = run.at(-1).split(" ");
          return `M${from} ${this.height}L${run.join("L")}L${to} ${this.height}Z`;
        });
        set(this.areas[index], "d", closed.join(""));
      }
    });
  }

  /** A gap where nothing was seen is a gap in the line. */
  runs(line, x, y) {
    const runs = [];
    let former = -Infinity;
    this.steps.forEach((step, index) => {
      const value = line[index];
      if (value == null) return;
      if (step.index - former > 3) runs.push([]);
      former = step.index;
      runs.at(-1).push(`${x(step.at + STEP / 2).toFixed(1)} ${y(value).toFixed(1)}`);
    });
    return runs;
  }

  drawGrid(top, bottom, y) {
    const marks = [];
    if (this.log) for (let value = top; value > bottom * 1.01; value /= 10) marks.push(value);
    else marks.push(top, top / 2);
    const key = marks.join() + this.width;
    if (this.drawn === key) return;
    this.drawn = key;
    const line = (at, kind) => svg("line", { class: kind, x1: 0, x2: this.width, y1: at, y2: at });
    this.grid.replaceChildren(
      ...marks.map((value) => line(y(value).toFixed(1))), line(this.height - 0.5, "base"));
    // Above the lines, so that none runs through a figure.
    const labelled = this.log ? marks : marks.slice(0, 1);
    this.labels.replaceChildren(...labelled.map((value) =>
      svg("text", { x: 0, y: (y(value) - 2.5).toFixed(1) }, this.unit(value))));
  }

  point(at) {
    this.cursor.toggleAttribute("hidden", at == null);
    if (at == null) return;
    const x = this.width * (1 - (this.until - at) / WINDOW);
    set(this.cursor, "x1", x);
    set(this.cursor, "x2", x);
  }
}

/** 1, 2 or 5 times a power of ten; for a logarithmic height a power of ten. */
function nice(value, log) {
  const power = 10 ** Math.floor(Math.log10(value));
  if (log) return value > power ? power * 10 : power;
  return power * [1, 2, 5, 10].find((step) => step * power >= value * 0.999);
}

/** A signal: its name, its value now, its plots, and what the lines are. Pointing at one points at all. */
export class Signal {
  constructor({ title, hint, plots, figure, parts }) {
    Object.assign(this, { plots, figure, parts });
    this.value = html("span", { class: "value" });
    this.aside = html("span", { class: "aside" });
    this.keys = parts.map(({ kind, name }) => ({
      value: html("b", {}),
      item: html("li", { class: kind }, svg("svg", { viewBox: "0 0 16 6", "aria-hidden": "true" },
        svg("path", { class: `line ${kind}`, d: "M0 3H16" })), html("span", {}, name)),
    }));
    for (const { item, value } of this.keys) item.append(value);
    this.when = html("span", { class: "when" }, hint);
    this.element = html("figure", {},
      html("figcaption", {}, html("h3", {}, title), this.when),
      html("p", { class: "now" }, this.value, this.aside),
      ...plots.map((plot) => plot.element),
      html("ul", { class: "keys" }, ...this.keys.map(({ item }) => item)));
    this.hint = hint;
  }

  /** `point`: the second whose figures are shown. */
  show(point) {
    const { value, aside, kind } = this.figure(point);
    say(this.value, value);
    say(this.aside, aside);
    set(this.element, "class", kind ?? "");
    this.parts.forEach((part, index) => say(this.keys[index].value, part.value(point)));
  }

  pointAt(point) {
    for (const plot of this.plots) plot.point(point?.at_ms ?? null);
    say(this.when, point ? clock(point.at_ms) : this.hint);
    this.element.classList.toggle("pointed", point != null);
  }
}
