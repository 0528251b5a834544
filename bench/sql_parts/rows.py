"""The rows: what is asked of every side, and the goal."""

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from shared_parts.cost import Perf, memory, spent

from .clients import login, query
from .servers import load
from .sides import Case

HERE = Path(__file__).resolve().parent
GOAL = 1.15


@dataclass
class Row:
    key: str
    title: str
    measure: Callable
    script: str = "oltp_point_select"
    # HAProxy's figure times this is the goal; None: no goal of its own.
    goal: float | None = GOAL
    case: Case = field(default_factory=Case)
    options: dict = field(default_factory=dict)
    unit: str = "µs CPU per query"
    # Sides that are not asked; those that cannot do it.
    not_for: tuple = ()


def rounds(row, sides, servers, args, go):
    """Each side in turn, in the other order every second round. A list of figures for each."""
    figures = {side.name: [] for side in sides if side.name not in row.not_for}
    able = [side for side in sides if side.name in figures]
    for round in range(args.rounds):
        for side in able if round % 2 == 0 else able[::-1]:
            try:
                side.start(row.case, servers)
                figures[side.name].append(go(side, round))
            except (RuntimeError, OSError, subprocess.SubprocessError) as e:
                print(f"  {side.name}: {e}", file=sys.stderr)
            finally:
                side.stop()
        servers.catch_up()
    return figures


def cpu(row, sides, servers, args):
    def go(side, round):
        perf = args.perf and side.name == "mainstay" and round == 0
        with Perf(args.perf / f"{row.key}.data" if perf else None, side.pids()):
            if side.name == "mainstay" and args.callgrind:
                return counted(row, side, servers, args)
            reads = [server.counter("Com_select") for server in servers.all]
            before = side.metrics() if hasattr(side, "metrics") else {}
            options = {"threads": 8, "db_ps_mode": "auto", **row.options}
            done = load(row.script, side.port, args.seconds, side.pids(), servers.pids(), **options)
            after = side.metrics() if before else {}
        done["reads"] = [server.counter("Com_select") - one for server, one in zip(servers.all, reads)]
        done["counters"] = {name: after[name] - before.get(name, 0) for name in after}
        if done["errors"]:
            raise RuntimeError(f"{done}")
        return done

    return rounds(row, sides, servers, args, go)


def counted(row, side, servers, args):
    """Instructions in user space, by valgrind: steady where CPU time is not."""
    control = ["callgrind_control", "-i", "on", str(side.pids()[0])]
    options = {"threads": 8, "db_ps_mode": "auto", **row.options}
    load(row.script, side.port, 1, side.pids(), servers.pids(), **options)
    subprocess.run(control, check=True, capture_output=True)
    before = [server.counter("Questions") for server in servers.all]
    done = load(row.script, side.port, args.seconds, side.pids(), servers.pids(), **options)
    own = len(servers.all)
    asked = sum(server.counter("Questions") - one for server, one in zip(servers.all, before)) - own
    subprocess.run(["callgrind_control", "-i", "off", str(side.pids()[0])], check=True, capture_output=True)
    pid = side.pids()[0]
    side.stop()
    file = args.callgrind / f"{row.key}.out"
    (args.callgrind / f"out.{pid}").rename(file)
    totals = next(line for line in file.read_text().splitlines() if line.startswith("totals:"))
    per = int(totals.split()[1]) / asked
    print(f"  {row.key}: {per:,.0f} instructions per query ({asked} queries)", file=sys.stderr)
    return {**done, "value": per, "reads": [], "counters": {}}


def idle(row, sides, servers, args):
    """Memory of clients that wait: with them, less what the same process had before them."""
    count = 300 if args.smoke else row.options["clients"]

    def go(side, _):
        for _ in range(20):
            warm = login(side.port)
            query(warm, "SELECT 1")
            warm.close()
        time.sleep(0.5)
        before = memory(side.pids())
        clients = []
        try:
            for _ in range(count):
                clients.append(login(side.port))
                if row.options.get("queries"):
                    query(clients[-1], "SELECT c FROM sbtest1 WHERE id = 5")
            time.sleep(2)
            after, cost = memory(side.pids()), spent(side.pids())
            time.sleep(2)
            cost = spent(side.pids()) - cost
            held = sum(server.connected() for server in servers.all)
        finally:
            for client in clients:
                client.close()
        return {"value": (after - before) / count, "whole": after, "busy": cost / 2, "open": count,
                "held": held}

    return rounds(row, sides, servers, args, go)


TEXT = {"db_ps_mode": "disable"}
NO_TRX = {"skip_trx": "on"}
MANY = {"threads": 1000}
SHARED = Case(connections=32)
BYTES = "bytes per idle client"
IDLE = Case(connections=32, sessions=12000)
ROWS = [
    Row("point", "point select, prepared", cpu),
    Row("point-text", "point select, text", cpu, options=TEXT),
    Row("read-only", "read-only transaction, prepared", cpu, "oltp_read_only"),
    Row("read-only-text", "read-only transaction, text", cpu, "oltp_read_only", options=TEXT),
    Row("read-write", "read-write transaction, prepared", cpu, "oltp_read_write"),
    Row("read-write-text", "read-write transaction, text", cpu, "oltp_read_write", options=TEXT),
    Row("connect", "a connection for each query", cpu, str(HERE / "connect.lua"), options=TEXT,
        unit="µs CPU per connection and query"),
    Row("replica-1", "reads without transaction, 1 replica", cpu, "oltp_read_only", goal=None,
        case=Case(to_replicas=True), options=NO_TRX),
    Row("replica-2", "reads without transaction, 2 replicas", cpu, "oltp_read_only", goal=None,
        case=Case(replicas=2, to_replicas=True), options=NO_TRX),
    Row("shared", "1,000 clients, point select; Mainstay: over 32 server connections", cpu, goal=None,
        case=SHARED, options=MANY | {"db_ps_mode": "auto"}),
    Row("shared-text", "the same, text", cpu, goal=None, case=SHARED, options=MANY | TEXT),
    Row("shared-write", "1,000 clients, read-write transactions; Mainstay: over 32", cpu, "oltp_read_write",
        goal=None, case=SHARED, options=MANY | TEXT),
    Row("unshared", "1,000 clients, point select; Mainstay: over 1,000", cpu, goal=None,
        case=Case(connections=2000), options=MANY),
    Row("idle", "10,000 clients that have logged in", idle, goal=None, case=IDLE, unit=BYTES,
        options={"clients": 10000}, not_for=("direct", "haproxy")),
    Row("idle-asked", "10,000 clients that have asked once", idle, goal=None, case=IDLE, unit=BYTES,
        options={"clients": 10000, "queries": True}, not_for=("direct", "haproxy")),
]
