"""A site with three database servers under `mainstay up`, and what breaks in it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from .client import Broken, Client, Refused

SITE = """
[site]
name = "failover"
domains = ["www.failover.example"]

[servers.app-1]
address = "10.0.0.21"
roles = ["balancer", "web", "app"]

[servers.db-1]
address = "10.0.0.31"
roles = ["database"]

[servers.db-2]
address = "10.0.0.32"
roles = ["database"]

[servers.db-3]
address = "10.0.0.33"
roles = ["database"]

[app]
path = "app"
command = ["bin/foobar"]
migrate = ["bin/foobar", "migrate"]
health = "/healthz"

[database]
engine = "mariadb"
replicas = 2
replication = "semi-sync"
"""

# Found before the real one: a member that has a file of its name here does not start.
WRAPPER = """#!/bin/sh
for broken in "$0".broken.*; do
  case "$1" in */"${{broken##*.broken.}}".cnf) echo "[ERROR] broken on purpose"; exit 1;; esac
done
exec {mariadbd} "$@"
"""

PATIENCE = 60


class Site:
    def __init__(self, binary, root, dir):
        self.binary, self.dir = binary, dir
        self.programs = dir / "programs"
        for part in ("app/bin", "app/static", "programs"):
            (dir / part).mkdir(parents=True)
        shutil.copy(binary.parent / "foobar", dir / "app/bin/foobar")
        for file in (root / "examples/foobar/app/static").iterdir():
            shutil.copy(file, dir / "app/static")
        (dir / "site.toml").write_text(SITE)
        mariadbd = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin")
        if not mariadbd:
            sys.exit("mariadbd is not installed (Debian: mariadb-server-core)")
        wrapper = self.programs / "mariadbd"
        wrapper.write_text(WRAPPER.format(mariadbd=mariadbd))
        wrapper.chmod(0o755)
        self.env = dict(os.environ, PATH=f"{self.programs}:{os.environ['PATH']}")

    def mainstay(self, *words, good=(0,)):
        out = subprocess.run([self.binary, *words], cwd=self.dir, env=self.env, capture_output=True, text=True,
                             timeout=120)
        if out.returncode not in good:
            raise RuntimeError(f"mainstay {' '.join(words)}: {out.stderr}{out.stdout}")
        return out.stdout

    def up(self):
        ready = self.mainstay("up", "--detach", "--json", "--http", "127.0.0.1:0", "--https", "127.0.0.1:0")
        self.pid = json.loads(ready)["pid"]
        self.url = self.database_url()

    def down(self):
        self.mainstay("down")

    def database_url(self):
        """As the application is told it."""
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                lines = environ.read_bytes().split(b"\0")
                if not os.readlink(environ.parent / "cwd").startswith(str(self.dir)):
                    continue
            except OSError:
                continue
            for line in lines:
                if line.startswith(b"DATABASE_URL="):
                    return urlsplit(line.partition(b"=")[2].decode())
        raise RuntimeError("no application runs")

    def connect(self):
        """To the SQL router."""
        return Client(self.url.hostname, self.url.port, self.url.username, self.url.password,
                      self.url.path.strip("/"))

    def run(self, text):
        """Until it is done."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                client = self.connect()
                try:
                    return client.run(text)
                finally:
                    client.close()
            except (Broken, Refused) as e:
                if time.monotonic() > until:
                    raise RuntimeError(f"{text}: {e}") from e
                time.sleep(0.1)

    def on_each(self, text):
        """The answer of every database server itself."""
        answers = {}
        for member in self.status()["members"]:
            host, port = member["address"].rsplit(":", 1)
            client = Client(host, int(port), self.url.username, self.url.password, self.url.path.strip("/"))
            answers[member["name"]] = client.run(text)
            client.close()
        return answers

    def status(self):
        # It ends with 1 while something is wrong.
        return json.loads(self.mainstay("db", "status", "--json", good=(0, 1)))

    def whole(self):
        """Waits until the primary serves and both replicas could take its place; the status then."""
        until = time.monotonic() + PATIENCE
        while True:
            status = self.status()
            members = status["members"]
            primary = [m for m in members if m["role"] == "primary" and m["serves"]]
            ready = [m for m in members if m["role"] == "replica" and m["serves"] and m["in_sync_set"] and m["whole"]]
            if len(primary) == 1 and len(ready) == 2:
                return status
            if time.monotonic() > until:
                raise RuntimeError(f"the site does not recover: {json.dumps(status, indent=1)}")
            time.sleep(0.2)

    def primary(self):
        return next(m for m in self.whole()["members"] if m["role"] == "primary")

    def forget_failovers(self):
        """Many failovers in a short time make the next one wait (on purpose); here each is the first. The
        site must be down."""
        file = self.dir / ".mainstay/cluster.json"
        file.write_text(re.sub(r'\\"at_ms\\":\d+', r'\\"at_ms\\":0', file.read_text()))

    def break_starting(self, name):
        (self.programs / f"mariadbd.broken.{name}").touch()

    def mend(self):
        for broken in self.programs.glob("mariadbd.broken.*"):
            broken.unlink()


def killed(site):
    os.kill(site.primary()["pid"], signal.SIGKILL)
    return time.monotonic()


def killed_for_good(site):
    primary = site.primary()
    site.break_starting(primary["name"])
    os.kill(primary["pid"], signal.SIGKILL)
    return time.monotonic()


def hung(site):
    os.kill(site.primary()["pid"], signal.SIGSTOP)
    return time.monotonic()


def switched_over(site):
    site.whole()
    began = time.monotonic()
    site.mainstay("db", "switchover")
    return began


# Name, what it does, does another become primary, seconds it may take.
FAULTS = {
    "killed": (killed, 3),
    "killed for good": (killed_for_good, 3),
    "hung": (hung, 8),
    "switchover": (switched_over, 1),
}
