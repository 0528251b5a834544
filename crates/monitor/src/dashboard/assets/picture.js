// The picture of the site. Built anew when its parts or the room for it change; told new values otherwise.

import { svg, say, set, shape } from "./elements.js";
import { NARROW, appMood, chips, layout, memberMood, processesOf, tiers } from "./layout.js";
import { clock, lag, mood, number, worst } from "./words.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
/** Between two dots of a line, and how long one takes for that way at one a second. */
const SPACING = 16;
const PACE = 2_600;

export class Picture {
  constructor(room) {
    this.room = room;
    this.element = svg("svg", { role: "img", class: "picture" });
    room.append(this.element);
    new ResizeObserver(() => this.status && this.show(this.status, this.rates)).observe(room);
  }

  show(status, rates) {
    Object.assign(this, { status, rates });
    const parts = tiers(status);
    const width = Math.max(300, this.room.clientWidth);
    const names = [parts.balancers, parts.apps].map((list) => list.map((s) => s.name));
    const key = JSON.stringify([names, parts.members.map((m) => [m.name, m.role]), width]);
    if (this.key !== key) {
      this.key = key;
      this.build(parts, layout(parts, width));
    }
    for (const update of this.updates) update(status, rates);
    set(this.element, "aria-label", words(status, parts));
  }

  build(parts, place) {
    this.updates = [];
    this.lines = svg("g");
    this.nodes = svg("g");
    this.labels = svg("g");
    set(this.element, "viewBox", `0 0 ${place.width} ${place.height}`);
    set(this.element, "height", place.height);
    this.element.replaceChildren(this.lines, this.nodes, this.labels);
    this.place = place;
    this.visitors(parts);
    parts.balancers.forEach((server) => this.balancer(server.name, parts));
    parts.apps.forEach((server) => this.app(server.name));
    if (parts.members.length) this.data(parts);
  }

  visitors({ balancers, apps }) {
    const { x, y, w, h } = this.place.boxes.get("visitors");
    const middle = this.place.width < NARROW;
    const value = svg("text", { class: "big", x: middle ? x + w / 2 : x, y: y + h / 2 + 2 });
    const name = svg("text", { class: "quiet", x: middle ? x + w / 2 : x, y: y + h / 2 + 19 }, "requests/s");
    const group = svg("g", { class: middle ? "visitors middle" : "visitors" }, value, name);
    this.nodes.append(group);
    this.updates.push((_, rates) => say(value, number(rates.requests)));
    const next = balancers.length
      ? balancers.map((s) => [`balancer ${s.name}`, (rates) => rates.by(s.name) ?? rates.requests / balancers.length])
      : apps.map((s) => [`app ${s.name}`, (rates) => rates.requests / apps.length]);
    for (const [key, rate] of next) {
      const line = this.line(this.place.request("visitors", key));
      this.updates.push((_, rates) => line(rate(rates), "ok"));
    }
  }

  balancer(name, { apps }) {
    const key = `balancer ${name}`;
    const node = this.node(key, name);
    this.updates.push((status) => {
      const server = find(status.servers, name);
      const [process] = server ? processesOf(server, "balancer") : [];
      const state = process?.state ?? "unknown";
      node.show(mood(state), `balancer, ${state}`);
    });
    for (const app of apps) {
      const line = this.line(this.place.request(key, `app ${app.name}`));
      this.updates.push((status, rates) => {
        const endpoint = status.endpoints.find((e) => e.balancer === name && e.name === app.name);
        if (!endpoint) line(0, "idle");
        else line(rates.of(endpoint), endpoint.up ? "ok" : "bad");
      });
    }
  }

  app(name) {
    const { compact } = this.place;
    const key = `app ${name}`;
    const node = this.node(key, name);
    const { x, y, w, h } = this.place.boxes.get(key);
    const row = svg("g", { transform: `translate(${compact ? x + 96 : x + 12} ${y + (compact ? 12 : h - 22)})` });
    this.nodes.append(row);
    let shown;
    this.updates.push((status, rates) => {
      const server = find(status.servers, name);
      if (!server) return;
      const seen = status.endpoints.filter((e) => e.name === name);
      const down = seen.find((e) => !e.up);
      const rate = seen.reduce((sum, e) => sum + (rates.of(e) ?? 0), 0);
      const note = down ? `down since ${clock(down.since_ms)}` : `${number(rate)}/s`;
      node.show(appMood(server, status), null, compact && down ? "down" : note);
      const now = JSON.stringify(chips(server));
      if (now !== shown) chipsInto(row, chips(server), w - (compact ? 170 : 24), compact);
      shown = now;
    });
    const line = this.place.boxes.has(key) && this.line(this.place.statements(key), "sql");
    this.updates.push((status, rates) => {
      const server = find(status.servers, name);
      const routers = server ? processesOf(server, "sql-router") : [];
      const state = worst(routers.map((p) => mood(p.state)));
      const share = (rates.primary + rates.replica) / Math.max(1, tiers(status).apps.length);
      line(state === "ok" ? share : 0, routers.length ? state : "none");
    });
  }

  data({ members }) {
    const replicas = members.filter((m) => m.role === "replica");
    const primary = members.find((m) => m.role === "primary");
    this.lines.append(svg("circle", { class: "bus", cx: this.place.bus.x, cy: this.place.bus.y, r: 3 }));
    for (const member of members) {
      const key = `member ${member.name}`;
      const node = this.node(key, member.name);
      const line = this.line(this.place.access(key), "sql");
      const at = this.place.accessLabel(key);
      const label = svg("text", { class: "rate", x: at.x, y: at.y, "text-anchor": at.anchor });
      this.labels.append(label);
      const writes = member.role === "primary";
      this.updates.push((status, rates) => {
        const now = find(status.members, member.name) ?? member;
        const kind = memberMood(now);
        const rate = writes ? rates.primary : rates.replica / Math.max(1, replicas.length);
        const serves = kind === "ok" || (writes && kind !== "bad");
        const used = serves && (writes || member.role === "replica");
        line(used ? rate : 0, kind === "bad" ? "bad" : used ? "ok" : "idle");
        say(label, used ? `${number(rate)}/s` : "");
        node.show(kind, memberWords(now, primary));
      });
    }
    if (primary) replicas.forEach((r, index) => this.replication(primary, r, index));
  }

  replication(primary, replica, index) {
    const { d, label } = this.place.replication(`member ${primary.name}`, `member ${replica.name}`, index);
    const line = this.line(d, "copy");
    const end = d.match(/(?:H([\d.]+)|V([\d.]+))$/);
    const numbers = d.match(/[\d.]+/g).map(Number);
    const tip = end[1] ? { x: Number(end[1]), y: numbers.at(-2) } : { x: numbers[0], y: Number(end[2]) };
    const head = svg("path", { class: "head", d: end[1] ? "M7-4 0 0l7 4" : "M-4-7 0 0l4-7",
      transform: `translate(${tip.x} ${tip.y})` });
    this.lines.append(head);
    const text = label && svg("text", { class: "rate", x: label.x, y: label.y });
    if (text) this.labels.append(text);
    this.updates.push((status, rates) => {
      const now = find(status.members, replica.name) ?? replica;
      const kind = now.lag_ms == null ? "bad" : memberMood(now);
      line(kind === "bad" ? 0 : rates.primary, kind);
      set(head, "class", `head ${kind}`);
      if (text) say(text, now.lag_ms == null ? "broken" : `lag ${lag(now.lag_ms)}`);
    });
  }

  /** A box with a name, a state and a note. */
  node(key, name) {
    const { x, y, w, h } = this.place.boxes.get(key);
    const small = h < 40;
    const base = small ? y + h / 2 + 4.5 : y + 23;
    const title = svg("text", { class: "name", x: x + 29, y: base }, name);
    const sub = svg("text", { class: "sub", x: x + 12, y: y + 42 });
    const note = svg("text", { class: "note", x: x + w - 12, y: base, "text-anchor": "end" });
    const spot = svg("g", { transform: `translate(${x + 12} ${base - 10})` });
    const box = svg("rect", { x: x + 0.5, y: y + 0.5, width: w - 1, height: h - 1, rx: 7 });
    const group = svg("g", { class: "node" }, box, spot, title, sub, note);
    this.nodes.append(group);
    let kind;
    return {
      show: (now, subText, noteText) => {
        if (kind !== now) {
          spot.replaceChildren(shape(now));
          set(group, "class", `node ${now}`);
          kind = now;
        }
        say(sub, subText ?? "");
        say(note, noteText ?? "");
      },
    };
  }

  /** A line and the dots that run along it; returns how to tell it its rate and state. */
  line(d, kind = "") {
    const rail = svg("path", { class: `rail ${kind}`, d });
    const dots = svg("path", { class: `dots ${kind}`, d, "stroke-dasharray": `0 ${SPACING}` });
    this.lines.append(rail, dots);
    // Each line at its own beat: dots in step would draw stripes.
    const run = dots.animate(
      [{ strokeDashoffset: SPACING }, { strokeDashoffset: 0 }], { duration: PACE, iterations: Infinity });
    run.currentTime = (this.lines.childElementCount * 0.37 * PACE) % PACE;
    const thin = this.place.compact ? 0.7 : 1;
    return (rate, mood) => {
      // Ten times the traffic is one step more, in width and in pace.
      const steps = Math.log10(1 + Math.max(0, rate ?? 0));
      set(rail, "class", `rail ${kind} ${mood}`);
      rail.style.strokeWidth = `${(thin * (1.2 + steps * 0.9)).toFixed(2)}px`;
      dots.style.strokeWidth = `${(thin * (2.6 + steps * 0.8)).toFixed(2)}px`;
      const moving = rate > 0.02 && !still.matches;
      dots.style.visibility = moving ? "visible" : "hidden";
      if (moving) run.updatePlaybackRate(0.5 + steps);
    };
  }
}

function find(list, name) {
  return list.find((item) => item.name === name);
}

function memberWords(member, primary) {
  if (member.state !== "running") return `${member.role}, ${member.state}`;
  if (member.role === "primary") return member.read_only ? "primary, read-only" : "primary, takes writes";
  if (member.role !== "replica") return member.role;
  if (member.lag_ms == null) return `replica, does not follow`;
  return primary ? `replica, ${lag(member.lag_ms)} behind` : "replica, no primary";
}

/** Chips side by side for as long as there is room, a glyph guessed at 6.5 units; in a row of one line
    only those that are not well have words. */
function chipsInto(row, list, room, compact) {
  row.replaceChildren();
  let x = 0;
  for (const { text, mood } of list) {
    const full = 18 + text.length * 6.5;
    const short = x + full > room || (compact && mood === "ok");
    const chip = svg("g", { class: `chip ${mood}`, transform: `translate(${x} 0)` },
      svg("title", {}, text), svg("g", { transform: "scale(.8)" }, shape(mood)));
    if (!short) chip.append(svg("text", { x: 12, y: 8 }, text));
    row.append(chip);
    x += short ? 12 : full + (compact ? 2 : 5);
  }
}

/** The picture for those who do not see it. */
function words(status, { balancers, apps, members }) {
  const app = apps.map((s) => `${s.name} ${appMood(s, status) === "bad" ? "down" : "up"}`);
  const member = members.map((m) => `${m.name}: ${memberWords(m, true)}`);
  return `Visitors reach ${balancers.map((s) => s.name).join(", ") || "no balancer"}; it sends them to ` +
    `${app.join(", ")}; data: ${member.join("; ")}.`;
}
