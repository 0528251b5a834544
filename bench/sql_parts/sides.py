"""What stands between sysbench and the servers: nothing, HAProxy, Mainstay's SQL router. One thread each,
on the first core; counters that can be asked for."""

import json
import os
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from shared_parts import program

from .servers import PROXY_CORE, pinned

SNAPSHOT = Path(__file__).parents[2] / "crates/sql-router/src/snapshot/example.json"
PORT = 18730
STATS = 18731


@dataclass
class Case:
    replicas: int = 1
    # Connections to each server that the router may have.
    connections: int = 128
    # Clients.
    sessions: int = 2000
    # Where HAProxy sends its clients: it cannot tell reads from writes.
    to_replicas: bool = False


class Side:
    name, port = "", PORT
    process = None

    def start(self, case, servers):
        """Ready for clients afterwards."""

    def pids(self):
        return [self.process.pid] if self.process else []

    def stop(self):
        if self.process:
            program.stop(self.process, 20)
            self.process = None

    def wait(self):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not answer")


class Direct(Side):
    name = "direct"

    def start(self, case, servers):
        self.port = (servers.replicas[0] if case.to_replicas else servers.primary).port

    def version(self):
        return program.first_line("mariadbd", "--version")


class Haproxy(Side):
    name = "haproxy"

    def __init__(self, dir):
        self.dir = dir

    def start(self, case, servers):
        to = servers.replicas[:case.replicas] if case.to_replicas else [servers.primary]
        self.start_to(case, [f"127.0.0.1:{server.port}" for server in to])

    def start_to(self, case, addresses):
        lines = "".join(f"  server s{n} {address} check inter 1s\n" for n, address in enumerate(addresses))
        config = self.dir / "haproxy.cfg"
        config.write_text(f"""
global
  nbthread 1
  maxconn {case.sessions}
  no strict-limits
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend f
  bind 127.0.0.1:{PORT} backlog 4096
  default_backend db
frontend stats
  mode http
  bind 127.0.0.1:{STATS}
  stats enable
  stats uri /
backend db
  balance roundrobin
{lines}""")
        log = (self.dir / "haproxy.log").open("w")
        self.process = subprocess.Popen(pinned(PROXY_CORE, ["haproxy", "-f", config, "-db"]),
                                        stdout=log, stderr=log)
        self.wait()
        # Checks have begun, so no client meets a server that is not known to be up.
        time.sleep(0.3)

    def version(self):
        return program.first_line("haproxy", "-v")


class Mainstay(Side):
    """The router's process, with this one in the place of its parent."""

    def __init__(self, binary, dir, callgrind=None, name="mainstay"):
        self.binary, self.dir, self.callgrind, self.name = binary, dir, callgrind, name
        self.control, self.asked = None, 0

    def start(self, case, servers):
        path = self.dir / f"control-{self.name}"
        path.unlink(missing_ok=True)
        (self.dir / "password").write_text("svc")
        listener = socket.create_server(("127.0.0.1", PORT), backlog=4096)
        parent = socket.socket(socket.AF_UNIX)
        parent.bind(str(path))
        parent.listen()
        command = [self.binary, "run", "sql-router"]
        if self.callgrind:
            self.callgrind.mkdir(parents=True, exist_ok=True)
            command = ["valgrind", "--tool=callgrind", "--instr-atstart=no",
                       f"--callgrind-out-file={self.callgrind}/out.%p", *command]
        environment = os.environ | {"MAINSTAY_CONTROL": str(path), "MAINSTAY_ROLE": "bench/sql-router",
                                    "LISTEN_FDS": "1", "LISTEN_FDNAMES": "sql"}
        log = (self.dir / f"{self.name}.log").open("w")
        # Inherited sockets begin at 3.
        into_three = ["bash", "-c", 'exec 3<&"$0" && exec "$@"', listener.fileno(), *command]
        self.process = subprocess.Popen(pinned(PROXY_CORE, into_three), pass_fds=(listener.fileno(),),
                                        env=environment, stdout=log, stderr=log)
        listener.close()
        parent.settimeout(60)
        self.control, _ = parent.accept()
        parent.close()
        self.control.settimeout(60)
        self.hear("hello")
        self.say({"snapshot": {"version": 1, "value": self.snapshot(case, servers)}})
        self.hear("ready")
        self.wait()

    def snapshot(self, case, servers):
        replicas = servers.replicas[:case.replicas]
        members = [{"name": server.name, "server": server.name, "address": f"127.0.0.1:{server.port}"}
                   for server in [servers.primary, *replicas]]
        # The one that the crate's tests read, so that it cannot be out of date.
        value = json.loads(SNAPSHOT.read_text())
        value["target"] |= {
            "listen": f"127.0.0.1:{PORT}", "members": members, "sessions": case.sessions,
            "connections": case.connections, "max_lag": 5000, "users": {}}
        value["servers"] |= {
            "primary": servers.primary.name,
            "replicas": [{"member": server.name, "replicating": True, "lag_ms": 0} for server in replicas]}
        return value | {
            "service_user": "svc", "service_password_file": str(self.dir / "password"),
            "slow_log": str(self.dir / "slow.log")}

    def say(self, message):
        text = json.dumps(message).encode()
        self.control.sendall(struct.pack(">I", len(text)) + text)

    def hear(self, kind):
        """The next message of this kind; others are passed over."""
        while True:
            length, = struct.unpack(">I", self.read(4))
            message = json.loads(self.read(length))
            if message == kind:
                return None
            if isinstance(message, dict) and kind in message:
                return message[kind]
            if isinstance(message, dict) and "refused" in message:
                raise RuntimeError(message["refused"]["why"])

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.control.recv(count - len(data))
            if not part:
                raise RuntimeError(f"{self.name} is gone: {(self.dir / f'{self.name}.log').read_text()[-800:]}")
            data += part
        return data

    def metrics(self):
        """Sums over labels, by name."""
        self.asked += 1
        self.say({"ask": {"id": self.asked, "about": "metrics"}})
        sums = {}
        for line in self.hear("answer")["text"].splitlines():
            if not line.startswith("#") and "le=" not in line:
                name, value = line.rsplit(" ", 1)
                name = name.split("{")[0].removeprefix("mainstay_sql_")
                sums[name] = sums.get(name, 0) + float(value)
        return sums

    def stop(self):
        if self.process:
            # Its sessions' servers need no farewell.
            if not self.callgrind:
                self.process.kill()
            super().stop()
            self.control.close()

    def version(self):
        return program.first_line(str(self.binary), "--version")
