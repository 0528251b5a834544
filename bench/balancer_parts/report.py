"""Tables of what was measured."""

from shared_parts.figures import number, of, range_of

PEERS = ("haproxy", "haproxy-new", "nginx")


def show(rows, sides, figures, args):
    names = [side.name for side in sides]
    print("| work | unit | " + " | ".join(names) + " | ratio to the better of HAProxy and nginx | goal |")
    print("|---|---|" + "---|" * (len(names) + 2))
    for row in rows:
        measured = figures[row.key]
        ours = of(measured, "mainstay")
        theirs = [value for value in (of(measured, name) for name in PEERS) if value is not None]
        ratio = goal = "–"
        if ours is not None and theirs:
            share = ours / min(theirs) if min(theirs) > 0 else float("inf")
            ratio = f"{share:.2f}"
            if row.goal:
                goal = f"{row.goal:.2f}: {'met' if share <= row.goal else 'missed'}"
        cells = " | ".join(range_of(measured, name) for name in names)
        print(f"| {row.title} | {row.unit} | {cells} | {ratio} | {goal} |")
    steady = [row for row in rows if row.unit.startswith("p99")]
    if steady:
        print("\n| latency in µs: p50 / p90 / p99 / p99.9 | " + " | ".join(names) + " |")
        print("|---|" + "---|" * len(names))
        for row in steady:
            def cell(name):
                parts = [of(figures[row.key], name, part) for part in ("p50", "p90", "p99", "p999")]
                return "–" if None in parts else " / ".join(f"{part:.0f}" for part in parts)
            print(f"| {row.title} | " + " | ".join(map(cell, names)) + " |")
    busy = [row for row in rows if row.unit.startswith("µs")]
    if busy:
        print("\n| requests per second (share of the core that the proxy used) | " + " | ".join(names) + " |")
        print("|---|" + "---|" * len(names))
        for row in busy:
            def cell(name):
                rate, share = of(figures[row.key], name, "rate"), of(figures[row.key], name, "busy")
                return "–" if rate is None else f"{rate:,.0f} ({share:.0%})"
            print(f"| {row.title} | " + " | ".join(map(cell, names)) + " |")
    held = [row for row in rows if row.unit.startswith("bytes")]
    if held:
        print("\n| memory with the connections open (PSS, MiB); CPU while they wait | " + " | ".join(names) + " |")
        print("|---|" + "---|" * len(names))
        for row in held:
            def cell(name):
                whole, share = of(figures[row.key], name, "whole"), of(figures[row.key], name, "busy")
                return "–" if whole is None else f"{whole / 2**20:.1f}; {share:.1%}"
            print(f"| {row.title} | " + " | ".join(map(cell, names)) + " |")
