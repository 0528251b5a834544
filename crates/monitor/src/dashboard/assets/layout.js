// Pure: where everything in the picture stands. Wide: tiers side by side, traffic from left to right.
// Narrow: tiers one under the other, requests down the left gutter, statements down the right one.

import { mood, worst } from "./words.js";

/** What the picture is of: tiers of nodes, from the status alone. */
export function tiers(status) {
  const having = (...roles) => status.servers.filter((s) => s.roles.some((r) => roles.includes(r)));
  const order = { primary: 0, replica: 1 };
  const members = [...status.members].sort((a, b) => (order[a.role] ?? 2) - (order[b.role] ?? 2));
  return { balancers: having("balancer"), apps: having("web", "app"), members };
}

/** A replica that does not follow is broken, whatever else it says; one that is late is late. */
export function memberMood(member) {
  const own = mood(member.state);
  if (member.role === "primary") return member.read_only && own === "ok" ? "bad" : own;
  if (member.role !== "replica") return own === "ok" ? "busy" : own;
  if (own === "ok" && member.lag_ms == null) return "bad";
  // Above this people see old pages; the site file's default for `max-lag`.
  return own === "ok" && member.lag_ms > 5_000 ? "busy" : own;
}

/** An app server: as bad as no balancer reaching it, or as the worst of its processes. */
export function appMood(server, status) {
  const seen = status.endpoints.filter((endpoint) => endpoint.name === server.name);
  if (seen.length && seen.every((endpoint) => !endpoint.up)) return "bad";
  const inner = worst(chips(server).map((chip) => chip.mood));
  return inner === "bad" || seen.some((endpoint) => !endpoint.up) ? "busy" : inner;
}

export function processesOf(server, ...names) {
  return server.processes.filter((p) => names.some((n) => p.name === n || p.name.startsWith(`${n}/`)));
}

/** What runs on an app server, in the order a request meets it; many instances are one. */
export function chips(server) {
  const one = (process) => ({ text: process.name, mood: mood(process.state) });
  const instances = processesOf(server, "app");
  const moods = instances.map((process) => mood(process.state));
  const ready = moods.filter((each) => each === "ok").length;
  const app = instances.length > 2
    ? [{ text: `app ${ready}/${instances.length}`, mood: worst(moods) }]
    : instances.map(one);
  return [...processesOf(server, "web").map(one), ...app, ...processesOf(server, "sql-router").map(one)];
}

const GAP = 14;
/** The least width at which names and states of four tiers fit side by side. */
export const NARROW = 860;

/** Boxes by key (`x y w h`), lines as paths, and the size of it all. */
export function layout({ balancers, apps, members }, width) {
  return width < NARROW
    ? narrow({ balancers, apps, members }, width)
    : wide({ balancers, apps, members }, width);
}

function wide({ balancers, apps, members }, width) {
  const compact = apps.length > 6;
  const spare = width - NARROW;
  const col = {
    visitors: { x: 0, w: 92 },
    balancers: { x: 124 + spare * 0.12, w: 136 + spare * 0.07 },
    apps: { x: 318 + spare * 0.33, w: 250 + spare * 0.12 },
    bus: 606 + spare * 0.55,
    members: { x: 690 + spare * 0.56, w: 170 + spare * 0.04 },
  };
  // Room for the arrow of replication and its label, to the right of the members.
  const tail = width >= 1120 ? 118 : 0;
  col.members.w = Math.min(col.members.w, width - tail - col.members.x);
  const heights = { balancers: 58, apps: compact ? 34 : 64, members: members.length > 6 ? 44 : 58 };
  const gaps = { balancers: GAP, apps: compact ? 8 : GAP, members: tail ? 30 : 22 };
  const tall = (count, kind) => Math.max(0, count * (heights[kind] + gaps[kind]) - gaps[kind]);
  const height = 8 + Math.max(
    120, tall(balancers.length, "balancers"), tall(apps.length, "apps"), tall(members.length, "members"));
  const boxes = new Map();
  const stack = (list, kind, key) => list.forEach((item, index) => {
    const top = (height - tall(list.length, kind)) / 2;
    const y = top + index * (heights[kind] + gaps[kind]);
    boxes.set(key(item), { x: col[kind].x, y, w: col[kind].w, h: heights[kind] });
  });
  stack(balancers, "balancers", (s) => `balancer ${s.name}`);
  stack(apps, "apps", (s) => `app ${s.name}`);
  stack(members, "members", (m) => `member ${m.name}`);
  boxes.set("visitors", { x: col.visitors.x, y: height / 2 - 26, w: col.visitors.w, h: 52 });
  const curve = (from, to) => {
    const middle = (from.x + to.x) / 2;
    return `M${from.x} ${from.y}C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}`;
  };
  const right = (box) => ({ x: box.x + box.w, y: box.y + box.h / 2 });
  const left = (box) => ({ x: box.x, y: box.y + box.h / 2 });
  const bus = { x: col.bus, y: height / 2 };
  const replicas = members.filter((m) => m.role === "replica").length;
  return {
    width, height, compact, boxes, bus,
    request: (a, b) => curve(right(boxes.get(a)), left(boxes.get(b))),
    statements: (a) => curve(right(boxes.get(a)), bus),
    access: (m) => curve(bus, left(boxes.get(m))),
    accessLabel: (m) => {
      const to = left(boxes.get(m));
      // Outside the curve, where nothing else runs.
      return { x: to.x - 8, y: to.y < bus.y - 1 ? to.y - 7 : to.y + 16, anchor: "end" };
    },
    replication: (from, to, index) => {
      const [a, b] = [boxes.get(from), boxes.get(to)];
      if (!tail) {
        const x = a.x + a.w / 2;
        return { d: `M${x} ${a.y + a.h}V${b.y - 2}`, label: null };
      }
      const out = 26 + 12 * index;
      const [p, q] = [right(a), right(b)];
      const x = p.x + out;
      // Right of all the arrows; with one, halfway.
      const label = replicas > 1
        ? { x: p.x + 26 + 12 * (replicas - 1) + 9, y: q.y + 4 }
        : { x: x + 9, y: (p.y + q.y) / 2 + 4 };
      return { d: `M${p.x} ${p.y}H${x - 8}Q${x} ${p.y} ${x} ${p.y + 8}V${q.y - 8}Q${x} ${q.y} ${x - 8} ${q.y}H${q.x + 3}`, label };
    },
  };
}

function narrow({ balancers, apps, members }, width) {
  const [gutter, side] = [24, width - 24];
  const boxes = new Map();
  let y = 0;
  const place = (key, h, after) => {
    boxes.set(key, { x: gutter, y, w: width - 2 * gutter, h });
    y += h + after;
  };
  place("visitors", 44, 26);
  balancers.forEach((s) => place(`balancer ${s.name}`, 54, 10));
  y += 18;
  apps.forEach((s) => place(`app ${s.name}`, 64, 10));
  const bus = { x: side + 12, y: y + 6 };
  y += 18;
  members.forEach((m) => place(`member ${m.name}`, 54, 26));
  const from = (box) => ({ x: box.x, y: box.y + box.h / 2 });
  const hook = (a, b, x) => {
    const turn = Math.sign(x - a.x) * 8;
    return `M${a.x} ${a.y}H${x - turn}Q${x} ${a.y} ${x} ${a.y + 8}V${b.y - 8}Q${x} ${b.y} ${x - turn} ${b.y}H${b.x}`;
  };
  const far = (box) => ({ x: box.x + box.w, y: box.y + box.h / 2 });
  return {
    width, height: y - 16, compact: false, boxes, bus,
    request: (a, b) => {
      if (a === "visitors") {
        const [top, to] = [boxes.get(a), boxes.get(b)];
        const first = balancers[0] && b === `balancer ${balancers[0].name}`;
        return first ? `M${width / 2} ${top.y + top.h}V${to.y}` : hook(from(top), from(to), 6);
      }
      return hook(from(boxes.get(a)), from(boxes.get(b)), 12);
    },
    statements: (a) => {
      const p = far(boxes.get(a));
      return `M${p.x} ${p.y}H${bus.x - 8}Q${bus.x} ${p.y} ${bus.x} ${p.y + 8}V${bus.y}`;
    },
    access: (m) => {
      const q = far(boxes.get(m));
      return `M${bus.x} ${bus.y}V${q.y - 8}Q${bus.x} ${q.y} ${bus.x - 8} ${q.y}H${q.x}`;
    },
    accessLabel: (m) => {
      const box = boxes.get(m);
      return { x: box.x + box.w - 10, y: box.y + 20, anchor: "end" };
    },
    replication: (a, b, index) => {
      const [p, q] = [boxes.get(a), boxes.get(b)];
      const x = width / 2;
      return index === 0
        ? { d: `M${x} ${p.y + p.h}V${q.y - 2}`, label: { x: x + 10, y: q.y - 9 } }
        : { d: hook(from(p), from(q), 12 - 3 * (index % 3)), label: null };
    },
  };
}
