"""Origin, log sink and load generator, all on the second core."""

import json
import os
import re
import subprocess
import sys

CORE = max(os.sched_getaffinity(0))
PROXY_CORE = min(os.sched_getaffinity(0))
ORIGIN = 18700
MANY = 1000


def pinned(core, command):
    return ["taskset", "-c", str(core), *[str(word) for word in command]]


def many_addresses():
    """Loopback addresses of a thousand endpoints, one port."""
    return [f"127.77.{n // 250}.{1 + n % 250}:{ORIGIN}" for n in range(MANY)]


class Loads:
    def __init__(self, loader, dir):
        self.loader, self.dir = loader, dir
        self.sink = dir / "log.sock"
        self.running = []
        self.start("origin", f"127.0.0.1:{ORIGIN}", f"127.0.0.2:{ORIGIN}", *many_addresses())
        self.start("sink", self.sink)
        self.sink.chmod(0o666)

    def start(self, *words):
        process = subprocess.Popen(pinned(CORE, [self.loader, *words]), stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        if process.stdout.readline() != "ready\n":
            sys.exit(f"{words[0]} does not start")

    def stop(self):
        for process in self.running:
            process.kill()
            process.wait()

    def run(self, port, **plan):
        """One load of bench/load; the object it prints."""
        words = [f"to=127.0.0.1:{port}"]
        words += [f"{key}={value}" for key, value in plan.items()]
        out = subprocess.run(pinned(CORE, [self.loader, "run", *words]), capture_output=True, text=True,
                             timeout=300)
        if out.returncode:
            raise RuntimeError(out.stderr.strip())
        return json.loads(out.stdout)

    def idle(self, port, **plan):
        """Connections that stay; the process that holds them until its input ends."""
        words = [f"to=127.0.0.1:{port}", "kind=idle"]
        words += [f"{key}={value}" for key, value in plan.items()]
        process = subprocess.Popen(pinned(CORE, [self.loader, "run", *words]), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        if not line:
            process.wait()
            raise RuntimeError("the connections could not be opened")
        return process, json.loads(line)["open"]

    def h2load(self, url, seconds, connections=4, streams=32):
        out = subprocess.run(
            pinned(CORE, ["h2load", "-D", f"{max(seconds, 1):.0f}", "-c", connections, "-m", streams, url]),
            capture_output=True, text=True, timeout=300).stdout
        counts = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
        done = re.search(r"requests: .* (\d+) succeeded, (\d+) failed", out)
        if not counts or not done:
            raise RuntimeError(f"h2load: {out[-500:]}")
        good = int(counts.group(1))
        errors = sum(int(counts.group(n)) for n in (2, 3, 4)) + int(done.group(2))
        return {"requests": good, "errors": errors, "seconds": max(seconds, 1)}
