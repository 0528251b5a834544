"""The rows: what is asked of every proxy, and the goal."""

import sys
import time
from dataclasses import dataclass, field
from typing import Callable

from shared_parts.cost import Perf, memory, spent

from .sides import Case


@dataclass
class Row:
    key: str
    title: str
    measure: Callable
    # The other's figure times this is the goal; None: no goal of its own.
    goal: float | None
    case: Case = field(default_factory=Case)
    plan: dict = field(default_factory=dict)
    unit: str = "µs CPU per request"
    # Proxies that cannot do it: Caddy does not start within half a minute with that many routes.
    not_for: tuple = ()


def rounds(row, sides, loads, args, load):
    """Each proxy in turn, in the other order every second round. A list of figures for each."""
    figures = {side.name: [] for side in sides if side.name not in row.not_for}
    able = [side for side in sides if side.name in figures]
    for round in range(args.rounds):
        for side in able if round % 2 == 0 else able[::-1]:
            try:
                side.start(row.case, loads)
                figures[side.name].append(load(side, round))
            except (RuntimeError, OSError) as e:
                print(f"  {side.name}: {e}", file=sys.stderr)
                side.show_log()
            finally:
                side.stop()
    return figures


def cpu(row, sides, loads, args):
    """CPU time per request at saturation."""

    def go(side, seconds):
        port = side.ports["https" if row.plan.get("tls") else "http"]
        plan = {key: value for key, value in row.plan.items() if key != "rate"}
        return loads.run(port, ms=int(seconds * 1000), **plan)

    return saturated(row, sides, loads, args, go)


def h2(row, sides, loads, args):
    def go(side, seconds):
        secure = row.plan["tls"]
        port = side.ports["https" if secure else "h2c"]
        scheme = "https" if secure else "http"
        return loads.h2load(f"{scheme}://127.0.0.1:{port}{row.plan['path']}", seconds)

    return saturated(row, sides, loads, args, go)


def saturated(row, sides, loads, args, go):
    def load(side, round):
        go(side, min(1, args.seconds))
        perf = args.perf and side.name == "mainstay" and round == 0
        with Perf(args.perf / f"{row.key}.data" if perf else None, side.pids()):
            before, since = spent(side.pids()), time.monotonic()
            done = go(side, args.seconds)
            used, took = spent(side.pids()) - before, time.monotonic() - since
        if done["errors"] > done["requests"] / 1000 or not done["requests"]:
            raise RuntimeError(f"{done}")
        return {**done, "value": used / done["requests"] * 1e6, "busy": used / took,
                "rate": done["requests"] / done["seconds"]}

    return rounds(row, sides, loads, args, load)


def steady(row, sides, loads, args):
    """Latency at a fixed rate."""

    def load(side, _):
        port = side.ports["https" if row.plan.get("tls") else "http"]
        loads.run(port, ms=500, **row.plan)
        before, since = spent(side.pids()), time.monotonic()
        done = loads.run(port, ms=int(args.seconds * 1000), **row.plan)
        busy = (spent(side.pids()) - before) / (time.monotonic() - since)
        return {**done, "value": done["p99"], "busy": busy}

    return rounds(row, sides, loads, args, load)


def idle(row, sides, loads, args):
    """Memory of connections that wait: with them, less what the same program has that is set up for few
    and has nothing to do. Some take memory for connections before there are any."""
    count = 500 if args.smoke else row.plan["connections"]
    tls = row.plan.get("tls", 0)

    def load(side, _):
        port = side.ports["https" if tls else "http"]
        side.stop()
        side.start(Case(connections=500), loads)
        loads.run(port, ms=300, tls=tls, connections=4)
        before = memory(side.pids())
        side.stop()
        side.start(row.case, loads)
        holder, opened = loads.idle(port, connections=count, tls=tls)
        try:
            # What was needed to open them may be given back.
            time.sleep(2)
            after, cost = memory(side.pids()), spent(side.pids())
            time.sleep(2)
            cost = spent(side.pids()) - cost
        finally:
            holder.communicate("\n")
        return {"open": opened, "value": (after - before) / opened, "whole": after, "busy": cost / 2}

    return rounds(row, sides, loads, args, load)


BIG = {"path": "/big"}
TLS = {"tls": 1}
RATE = "p99 µs at a fixed rate"
BYTES = "bytes per connection"
FOR_IDLE = Case(connections=10200)
ROWS = [
    Row("small", "100 B response", cpu, 0.87),
    Row("64k", "64 KiB response", cpu, 0.80, plan=BIG),
    Row("upload", "1 MiB upload", cpu, None, plan={"body": 1 << 20, "connections": 8}),
    Row("tls-small", "TLS, 100 B response", cpu, 0.80, plan=TLS),
    Row("tls-64k", "TLS, 64 KiB response", cpu, 0.80, plan=TLS | BIG),
    Row("handshake", "TLS handshake and one request", cpu, 1 / 1.2, plan=TLS | {"kind": "fresh"}),
    Row("fresh", "new connection for each request", cpu, None, plan={"kind": "fresh"}),
    Row("h2-tls", "HTTP/2 over TLS, 100 B response", h2, None, plan=TLS | {"path": "/"}),
    Row("h2c", "HTTP/2 in cleartext, 100 B response", h2, None, plan={"tls": 0, "path": "/"}),
    Row("h2-tls-64k", "HTTP/2 over TLS, 64 KiB response", h2, None, plan=TLS | BIG),
    Row("websocket", "WebSocket, a frame of 32 B there and back", cpu, None,
        plan={"kind": "websocket", "path": "/ws"}, unit="µs CPU per frame"),
    Row("endpoints-2", "2 endpoints", cpu, None),
    Row("endpoints-1000", "1,000 endpoints", cpu, None, case=Case(endpoints=1000, interval=10)),
    Row("routes-1", "1 route", cpu, None, plan={"paths": 1}),
    Row("routes-10000", "10,000 routes, each in turn", cpu, None, case=Case(routes=10000),
        plan={"paths": 10000}, not_for=("caddy",)),
    Row("rate-small", "100 B, 8,000/s", steady, 1.0, plan={"rate": 8000}, unit=RATE),
    Row("rate-64k", "64 KiB, 2,000/s", steady, 1.0, plan=BIG | {"rate": 2000}, unit=RATE),
    Row("rate-tls", "TLS, 100 B, 6,000/s", steady, 1.0, plan=TLS | {"rate": 6000}, unit=RATE),
    Row("idle", "10,000 idle connections", idle, 1.0, case=FOR_IDLE, plan={"connections": 10000}, unit=BYTES),
    Row("idle-tls", "10,000 idle connections with TLS", idle, 1.0, case=FOR_IDLE,
        plan=TLS | {"connections": 10000}, unit=BYTES),
]
