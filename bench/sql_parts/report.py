"""Tables of what was measured."""

from shared_parts.figures import number, of, range_of


def table(title, names, rows, cell):
    print(f"\n| {title} | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for row in rows:
        print(f"| {row.title} | " + " | ".join(cell(row, name) for name in names) + " |")


def show(rows, sides, figures):
    names = [side.name for side in sides]
    proxies = [name for name in names if name != "direct"]
    print("| work | unit | " + " | ".join(proxies) + " | ratio to HAProxy | goal |")
    print("|---|---|" + "---|" * (len(proxies) + 2))
    for row in rows:
        ours, theirs = of(figures[row.key], "mainstay"), of(figures[row.key], "haproxy")
        ratio = goal = "–"
        if ours and theirs:
            ratio = f"{ours / theirs:.2f}"
            if row.goal:
                goal = f"{row.goal:.2f}: {'met' if ours / theirs <= row.goal else 'missed'}"
        cells = " | ".join(range_of(figures[row.key], name) for name in proxies)
        print(f"| {row.title} | {row.unit} | {cells} | {ratio} | {goal} |")
    busy = [row for row in rows if "CPU" in row.unit]

    def rate(row, name):
        values = [of(figures[row.key], name, what) for what in ("rate", "p95")]
        return "–" if None in values else f"{values[0]:,.0f}; {values[1]:.2f}"

    def servers(row, name):
        return number(of(figures[row.key], name, "servers"))

    def spread(row, name):
        rounds = [round["reads"] for round in figures[row.key].get(name, []) if round.get("reads")]
        if not rounds:
            return "–"
        sums = [sum(column) for column in zip(*rounds)]
        return " / ".join(f"{one / max(sum(sums), 1):.0%}" for one in sums)

    if busy:
        table("queries per second; p95 in ms (the servers' core is the bound)", names, busy, rate)
        table("µs CPU of the servers per query", names, busy, servers)
        table("share of the SELECTs: primary / replica / replica", names, busy, spread)
    counters = ("server_connections_opened_total", "server_connections_reused_total",
                "connection_waits_total")

    def counted(row, name):
        rounds = [round for round in figures[row.key].get(name, []) if round.get("counters")]
        if not rounds:
            return "–"
        last = rounds[-1]
        return " / ".join(f"{last['counters'].get(one, 0) / last['queries']:.3f}" for one in counters)

    ours = [name for name in proxies if name != "haproxy"]
    if busy and ours:
        table("per query: connections opened / reused / waited for", ours, busy, counted)
    held = [row for row in rows if row.unit.startswith("bytes")]

    def memory(row, name):
        whole, share, open = (of(figures[row.key], name, what) for what in ("whole", "busy", "held"))
        return "–" if whole is None else f"{whole / 2**20:.1f}; {share:.1%}; {open:.0f}"

    if held:
        table("with them: MiB in all (PSS); CPU while they wait; connections to servers", proxies, held, memory)
