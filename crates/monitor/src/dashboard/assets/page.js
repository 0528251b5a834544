// The live page: listens to the site, keeps the last quarter of an hour, and tells each part of the
// page what is new.

import { Plot, Signal, mean, most, steps } from "./charts.js";
import { html, say, state } from "./elements.js";
import { memberMood } from "./layout.js";
import { Picture } from "./picture.js";
import { Log, endpoints, members, problems, servers } from "./tables.js";
import { bytes, clock, count, duration, lag, milliseconds, number, percent } from "./words.js";

const $ = (id) => document.getElementById(id);

const POINTS = 900;
/** The server speaks at least every five seconds; three times nothing is a lost connection. */
const SILENCE = 16_000;
/** A site that is watched is looked at once a second. */
const STALE = 15_000;

const now = {
  status: null, alerts: [], points: [],
  heard: 0, lostAt: null, refused: false,
  /** When the last observation that differed came in. */
  observed: 0,
};

// ── Rates of single endpoints, from one status to the next ────────────────────────────────────────────

class Rates {
  constructor() { this.last = new Map(); this.smooth = new Map(); }

  take(status) {
    for (const endpoint of status.endpoints) {
      const key = Rates.key(endpoint);
      const last = this.last.get(key);
      const seconds = last ? (status.at_ms - last.at) / 1000 : 0;
      // Less than half a second says too little.
      if (last && seconds < 0.5) continue;
      if (last && seconds < 60) {
        const rate = Math.max(0, endpoint.requests - last.requests) / seconds;
        const former = this.smooth.get(key) ?? rate;
        this.smooth.set(key, former + (rate - former) * 0.4);
      }
      this.last.set(key, { at: status.at_ms, requests: endpoint.requests });
    }
  }

  of(endpoint) { return this.smooth.get(Rates.key(endpoint)) ?? null; }

  by(balancer) {
    const rates = [...this.smooth].filter(([key]) => key.startsWith(`${balancer}\n`));
    return rates.length ? rates.reduce((sum, [, rate]) => sum + rate, 0) : null;
  }

  static key(endpoint) { return `${endpoint.balancer}\n${endpoint.name}`; }
}

const rates = new Rates();

/** The mean of the latest three seconds: calm enough to read. */
function lately(key) {
  const latest = now.points.slice(-3);
  return latest.length ? mean(key)(latest) : 0;
}

// ── The parts of the page ─────────────────────────────────────────────────────────────────────────────

const picture = new Picture($("picture"));
const log = new Log($("log"), $("only-trouble"));

const rate = (key) => (points) => mean(key)(points);
const signals = [
  new Signal({
    title: "Traffic", hint: "requests per second",
    plots: [new Plot({ lines: [{ kind: "a", area: true, of: rate("requests") }], unit: number })],
    figure: (p) => ({ value: number(p.requests), aside: "/s" }),
    parts: [
      { kind: "none", name: "sent", value: (p) => `${bytes(p.bytes_out)}/s` },
      { kind: "none", name: "new connections", value: (p) => `${number(p.connections)}/s` },
    ],
  }),
  new Signal({
    title: "Errors", hint: "answers 5xx, of all",
    plots: [new Plot({
      lines: [{ kind: "e", area: true, of: (points) => share(sum(points, "errors"), sum(points, "requests")) }],
      unit: percent, least: 0.01,
    })],
    figure: (p) => ({
      value: percent(share(p.errors, p.requests)),
      kind: share(p.errors, p.requests) > 0.01 ? "bad" : "",
    }),
    parts: [
      { kind: "none", name: "errors", value: (p) => `${number(p.errors)}/s` },
      { kind: "none", name: "endpoints up", value: (p) => `${p.endpoints_up} of ${p.endpoints}` },
    ],
  }),
  new Signal({
    title: "Latency", hint: "of requests, in ten seconds",
    plots: [new Plot({
      lines: ["p99", "p95", "p50"].map((key) => ({ kind: key, of: most(key) })),
      unit: (ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`), log: true, least: 10,
    })],
    figure: (p) => {
      const [value, unit] = milliseconds(p.p95).split(" ");
      return { value, aside: unit ? `${unit} at the 95th percentile` : "" };
    },
    parts: ["p50", "p95", "p99"].map((key) => ({ kind: key, name: key, value: (p) => milliseconds(p[key]) })),
  }),
  new Signal({
    title: "Saturation", hint: "statements per second",
    plots: [
      new Plot({ lines: [{ kind: "o", area: true, of: most("open") }], unit: (v) => `${v} open`, height: 36 }),
      new Plot({
        lines: [{ kind: "a", of: rate("sql_to_replica") }, { kind: "b", of: rate("sql_to_primary") }],
        unit: number, height: 44,
      }),
    ],
    figure: (p) => ({ value: count(p.open), aside: p.open === 1 ? "request open" : "requests open" }),
    parts: [
      { kind: "a", name: "to replicas", value: (p) => `${number(p.sql_to_replica)}/s` },
      { kind: "b", name: "to the primary", value: (p) => `${number(p.sql_to_primary)}/s` },
      { kind: "none", name: "lag", value: (p) => lag(p.lag_ms) },
    ],
  }),
];
$("signals").append(...signals.map((signal) => signal.element));

function share(part, whole) { return whole > 0 ? part / whole : whole === 0 ? 0 : null; }
function sum(points, key) { return points.reduce((total, point) => total + point[key], 0); }

let pointed = null;
for (const signal of signals) {
  for (const { element } of signal.plots) {
    element.addEventListener("pointermove", (event) => {
      const box = element.getBoundingClientRect();
      const until = now.points.at(-1)?.at_ms;
      if (!until) return;
      const at = until - (1 - (event.clientX - box.left) / box.width) * 15 * 60_000;
      const nearest = now.points.reduce((best, p) =>
        (Math.abs(p.at_ms - at) < Math.abs(best.at_ms - at) ? p : best));
      pointed = Math.abs(nearest.at_ms - at) < 10_000 ? nearest : null;
      showSignals();
    });
    element.addEventListener("pointerleave", () => { pointed = null; showSignals(); });
  }
}

function showSignals() {
  const latest = now.points.at(-1);
  if (!latest) return;
  const all = steps(now.points);
  const calm = { ...latest };
  for (const key of ["requests", "errors", "bytes_out", "connections", "sql_to_primary", "sql_to_replica"]) {
    calm[key] = lately(key);
  }
  for (const signal of signals) {
    for (const plot of signal.plots) plot.show(all, latest.at_ms);
    signal.show(pointed ?? calm);
    signal.pointAt(pointed);
  }
}

const STATE_WORDS = {
  starting: ["busy", "starting"], serving: ["ok", "serving"],
  degraded: ["busy", "serving, but not whole"], down: ["bad", "down"],
};

function show() {
  const { status } = now;
  if (!status) return;
  const [kind, word] = STATE_WORDS[status.state] ?? ["idle", status.state];
  say($("site"), status.site);
  if ($("state").textContent !== word) $("state").replaceChildren(state(kind, word));
  document.title = kind === "ok" ? `${status.site} · Mainstay` : `${kind === "bad" ? "✕" : "▲"} ${status.site}: ${word}`;
  showFacts(status);
  const said = problems($("problems"), status, now.alerts, serverTime());
  say($("said"), said);
  picture.show(status, {
    requests: lately("requests"), primary: lately("sql_to_primary"), replica: lately("sql_to_replica"),
    of: (endpoint) => rates.of(endpoint), by: (balancer) => rates.by(balancer),
  });
  servers($("t-servers"), status, serverTime());
  endpoints($("t-endpoints"), status, rates, serverTime());
  members($("t-members"), status, memberMood);
}

function showFacts(status) {
  const facts = [
    ["servers", String(status.servers.length)],
    ["release", status.release.slice(0, 12) || "–"],
    ["primary", `${status.members.find((m) => m.role === "primary")?.name ?? "none"}`],
    ["generation", String(status.generation)],
  ];
  const key = JSON.stringify([facts, status.urls]);
  if ($("facts").dataset.shown === key) return;
  $("facts").dataset.shown = key;
  const links = status.urls.filter((url) => /^https?:\/\//.test(url)).map((url) =>
    html("a", { href: url, rel: "noreferrer" }, url.replace(/^https?:\/\//, "")));
  $("facts").replaceChildren(...facts.map(([name, value]) =>
    html("div", {}, html("dt", {}, name), html("dd", {}, value))),
  ...(links.length ? [html("div", { class: "urls" }, html("dt", {}, "open"), html("dd", {}, ...links))] : []));
}

/** The site's clock: the reader's may be wrong. */
function serverTime() {
  return now.status.at_ms + (performance.now() - now.observed);
}

// ── Listening ─────────────────────────────────────────────────────────────────────────────────────────

let source = null;
let attempts = 0;

function listen() {
  source = new EventSource("/live");
  const on = (name, take) => source.addEventListener(name, (event) => {
    heard();
    take(JSON.parse(event.data));
  });
  on("status", (status) => {
    if (status.at_ms !== now.status?.at_ms) now.observed = performance.now();
    now.status = status;
    rates.take(status);
    show();
  });
  on("alerts", (alerts) => { now.alerts = alerts; show(); });
  on("point", (point) => {
    if (point.at_ms <= (now.points.at(-1)?.at_ms ?? 0)) return;
    now.points.push(point);
    if (now.points.length > POINTS) now.points.shift();
    showSignals();
  });
  on("event", (event) => log.add(event));
  on("missed", () => read("/events.json").then((events) => log.addAll(events)).catch(() => {}));
  source.addEventListener("open", catchUp);
  source.addEventListener("error", lost);
}

/** What happened before, and while there was no connection. */
async function catchUp() {
  attempts = 0;
  try {
    const [history, events] = await Promise.all([read("/history.json"), read("/events.json?count=200")]);
    const live = now.points.filter((point) => point.at_ms > (history.points.at(-1)?.at_ms ?? 0));
    now.points = history.points.concat(live);
    log.addAll(events);
    showSignals();
    show();
  } catch {
    // The next connection reads it again.
  }
}

async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

function heard() {
  now.heard = performance.now();
  if (now.lostAt != null) {
    now.lostAt = null;
    showConnection();
  }
}

async function lost() {
  source.close();
  source = null;
  now.lostAt ??= Date.now();
  // An answer that refuses is not a lost connection, and trying again would not help.
  now.refused = await fetch("/status.json").then((answer) => answer.status === 401, () => false);
  showConnection();
  attempts += 1;
  if (!now.refused) setTimeout(listen, Math.min(10_000, 500 * 2 ** attempts));
}

function showConnection() {
  const element = $("lost");
  const old = now.status && performance.now() - now.observed > STALE;
  let text = "";
  if (now.refused) {
    text = "This link is no longer valid. `mainstay status` prints a new one.";
  } else if (now.lostAt != null) {
    text = `Not connected since ${clock(now.lostAt)}. What stands here is from then; trying again.`;
  } else if (old) {
    text = `The site was last looked at ${duration(performance.now() - now.observed)} ago. What stands here is from then.`;
  }
  element.hidden = !text;
  say(element, text);
  document.body.classList.toggle("old", Boolean(text));
  if (now.status) say($("live"), text ? "" : `live, ${clock(now.status.at_ms)}`);
}

setInterval(() => {
  if (source && now.heard && performance.now() - now.heard > SILENCE) lost();
  showConnection();
  if (now.status) show();
}, 1000);

listen();
