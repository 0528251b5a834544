// The tables and the log: servers and their processes, endpoints, members, events.

import { html, state, mark } from "./elements.js";
import { clock, count, day, duration, lag, mood, number, plural } from "./words.js";

/** Changes only the cells that differ: a selection stays, and a reader keeps its place. */
function fill(table, head, rows) {
  if (!table.tBodies.length) {
    table.replaceChildren(html("thead", {}, html("tr", {}, ...head)), html("tbody"));
  }
  const [body] = table.tBodies;
  rows.forEach((row, index) => {
    const former = body.rows[index];
    if (!former) body.append(row);
    else if (former.cells.length !== row.cells.length) former.replaceWith(row);
    else if (!former.isEqualNode(row)) {
      former.className = row.className;
      [...row.cells].forEach((cell, at) => {
        if (!former.cells[at].isEqualNode(cell)) former.cells[at].replaceWith(cell);
      });
    }
  });
  while (body.rows.length > rows.length) body.lastElementChild.remove();
}

function column(text, kind) {
  return html("th", { scope: "col", class: kind }, text);
}

function cell(content, kind) {
  return html("td", { class: kind }, content);
}

/** The name of a row; where there is no room for the reason's column it stands below. */
function rowHead(kind, reason, ...name) {
  const below = kind !== "ok" && reason ? html("span", { class: "below" }, reason) : null;
  return html("th", { scope: "row" }, ...name, below);
}

export function servers(table, status, now) {
  const head = [
    column("process"), column("state"), column("since", "number wide"),
    column("pid", "number wide"), column("restarts", "number"), column("", "reason"),
  ];
  const rows = status.servers.flatMap((server) => {
    const named = html("th", { scope: "rowgroup", colspan: 6 },
      html("b", {}, server.name), " ", html("span", { class: "mono" }, server.address), " ",
      html("span", { class: "quiet" }, server.roles.join(", ")));
    return [html("tr", { class: "group" }, named), ...server.processes.map((p) => process(p, now))];
  });
  fill(table, head, rows);
}

function process(process, now) {
  const kind = mood(process.state);
  return html("tr", { class: kind },
    rowHead(kind, process.reason, process.name),
    cell(state(kind, process.state)),
    cell(process.since_ms ? duration(now - process.since_ms) : "–", "number wide"),
    cell(process.pid == null ? "–" : String(process.pid), "number wide mono"),
    cell(String(process.restarts), process.restarts ? "number some" : "number quiet"),
    cell(process.reason, "reason"));
}

export function endpoints(table, status, rates, now) {
  const head = [
    column("endpoint"), column("state"), column("since", "number wide"), column("per second", "number"),
    column("open", "number"), column("failures", "number"), column("", "reason"),
  ];
  const several = new Set(status.endpoints.map((endpoint) => endpoint.balancer)).size > 1;
  fill(table, head, status.endpoints.map((endpoint) => {
    const kind = endpoint.up ? "ok" : "bad";
    const by = several ? html("span", { class: "quiet" }, ` for ${endpoint.balancer}`) : null;
    return html("tr", { class: kind },
      rowHead(kind, endpoint.reason, endpoint.name, by),
      cell(state(kind, endpoint.up ? "up" : "down")),
      cell(duration(now - endpoint.since_ms), "number wide"),
      cell(number(rates.of(endpoint)), "number"),
      cell(count(endpoint.open), "number"),
      cell(count(endpoint.failures), endpoint.failures ? "number some" : "number quiet"),
      cell(endpoint.up ? html("span", { class: "mono quiet" }, endpoint.address) : endpoint.reason,
        "reason"));
  }));
}

export function members(table, status, moodOf) {
  const head = [
    column("member"), column("role"), column("state"), column("behind", "number"),
    column("position", "wide"), column("", "reason"),
  ];
  fill(table, head, status.members.map((member) => {
    const kind = moodOf(member);
    const writable = member.role === "primary" && !member.read_only ? ", takes writes" : "";
    return html("tr", { class: kind },
      rowHead(kind, member.reason, member.name, " ", html("span", { class: "quiet" }, member.server)),
      cell(member.role),
      cell(state(kind, member.state + writable)),
      cell(member.role === "replica" ? lag(member.lag_ms) : "–", "number"),
      cell(member.gtid || "–", "mono wide"),
      cell(member.reason, "reason"));
  }));
}

const SEVERITIES = { info: "idle", warning: "busy", error: "bad" };
/** As many as anybody scrolls through. */
const SHOWN = 200;

/** The log: newest first, each event once. */
export class Log {
  constructor(list, button) {
    this.list = list;
    this.shown = new Set();
    button.addEventListener("click", () => {
      const only = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(only));
      list.classList.toggle("only-trouble", only);
    });
  }

  add(event) {
    const key = JSON.stringify(event);
    if (this.shown.has(key)) return;
    this.shown.add(key);
    const kind = SEVERITIES[event.severity] ?? "idle";
    const at = html("time", { datetime: new Date(event.at_ms).toISOString() }, clock(event.at_ms));
    if (Date.now() - event.at_ms > 86_400_000) at.prepend(`${day(event.at_ms)} `);
    const item = html("li", { class: `${event.severity}` }, at,
      html("span", { class: `word ${kind}` }, mark(kind),
        html("span", { class: event.severity === "info" ? "unseen" : null }, event.severity)),
      html("span", { class: "what" },
        html("span", { class: "quiet" }, event.server || "site"), " ", event.what));
    Object.assign(item, { key, at: event.at_ms });
    // After a lost connection older ones come later.
    const before = [...this.list.children].find((other) => other.at <= event.at_ms);
    this.list.insertBefore(item, before ?? null);
    while (this.list.children.length > SHOWN) {
      this.shown.delete(this.list.lastElementChild.key);
      this.list.lastElementChild.remove();
    }
  }

  addAll(events) {
    for (const event of events) this.add(event);
  }
}

/** What is wrong, one sentence each; those people were called for with what to do. */
export function problems(section, status, alerts, now) {
  const firing = alerts.filter((alert) => alert.state === "firing");
  const rest = status.problems.filter((text) => !firing.some((a) => text.includes(a.subject)));
  const key = JSON.stringify([firing.map((a) => [a.id, a.what]), rest, status.state]);
  if (section.dataset.shown !== key) {
    section.dataset.shown = key;
    section.className = firing.length || rest.length ? "trouble" : "calm";
    section.replaceChildren(list(status, firing, rest));
  }
  for (const time of section.querySelectorAll("[data-since]")) {
    time.textContent = `for ${duration(now - Number(time.dataset.since))}`;
  }
  return summary(status, firing.map((alert) => alert.what).concat(rest));
}

function list(status, firing, rest) {
  if (firing.length + rest.length === 0) {
    const calm = { starting: "The site is starting.", down: "The site does not serve." };
    const word = calm[status.state] ?? "All is well.";
    return html("p", {}, mark(status.state === "serving" ? "ok" : "busy"), word);
  }
  return html("ul", {},
    ...firing.map((alert) => html("li", { class: alert.severity },
      mark(alert.severity === "error" ? "bad" : "busy"),
      html("div", {},
        html("p", {}, html("strong", {}, sentence(alert.what)), " ",
          html("span", { class: "since", "data-since": alert.since_ms })),
        html("p", { class: "next" }, ...code(alert.next))))),
    ...rest.map((text) => html("li", { class: "mild" }, mark("busy"), html("p", {}, sentence(text)))));
}

/** What stands between backquotes is to be typed. */
function code(text) {
  return text.split("`").map((part, index) => (index % 2 ? html("code", {}, part) : part));
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
}

function summary(status, all) {
  if (all.length === 0) return `${status.site} is ${status.state}, without problems`;
  return `${status.site}: ${plural(all.length, "problem", "problems")}: ${all.join("; ")}`;
}
