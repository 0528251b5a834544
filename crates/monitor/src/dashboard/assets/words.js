// Pure: numbers, times and states as people read them.

const STATES = {
  ready: "ok", running: "ok", up: "ok", serving: "ok",
  starting: "busy", draining: "busy", waiting: "busy", rebuilding: "busy", degraded: "busy",
  unhealthy: "bad", "crash-looping": "bad", failed: "bad", down: "bad",
};

/** `ok`, `busy` (on its way, or late), `bad`, `idle` (stopped or not known). */
export function mood(state) {
  return STATES[state] ?? "idle";
}

const WORST = ["bad", "busy", "idle", "ok"];

export function worst(moods) {
  return WORST.find((mood) => moods.includes(mood)) ?? "idle";
}

/** Three digits, no more: 0.42, 4.2, 42, 4 200, 42 k. */
export function number(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  if (value < 1) return value.toFixed(2);
  if (value < 10) return value.toFixed(1);
  if (value < 10_000) return group(Math.round(value));
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)} k`;
  return `${(value / 1e6).toFixed(1)} M`;
}

export function count(value) {
  return value < 1e6 ? group(value) : number(value);
}

function group(value) {
  // A narrow no-break space, so that no country is offended.
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function percent(share) {
  if (share == null) return "–";
  if (share === 0) return "0 %";
  if (share < 0.0001) return "<0.01 %";
  return `${Number((share * 100).toFixed(share < 0.1 ? 2 : 0))} %`;
}

export function milliseconds(ms) {
  if (ms == null) return "–";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  return duration(ms);
}

export function lag(ms) {
  return ms < 1000 && ms != null ? `${ms} ms` : milliseconds(ms);
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${number(value)} ${units[unit]}`;
}

/** Its largest unit, or two where one says too little. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The time of day where the reader is. */
export function clock(at) {
  return new Date(at).toLocaleTimeString([], {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
  });
}

export function day(at) {
  return new Date(at).toLocaleDateString([], { day: "numeric", month: "short" });
}

export function plural(value, one, many) {
  return `${value} ${value === 1 ? one : many}`;
}
