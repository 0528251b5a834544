"""A MariaDB primary and two replicas, and the load generator, all on the second core."""

import os
import re
import shutil
import subprocess
import sys
import time

from shared_parts.cost import spent

CORE = max(os.sched_getaffinity(0))
PROXY_CORE = min(os.sched_getaffinity(0))
FIRST_PORT = 18721
ROWS = 10000
TABLES = 4
USER = "bench"


def pinned(core, command):
    """It does not outlive this process."""
    return ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core), *map(str, command)]


class Server:
    def __init__(self, dir, number):
        self.name, self.number, self.port = f"db-{number}", number, FIRST_PORT + number - 1
        self.dir = dir / self.name
        self.process = None

    def start(self):
        command = [
            "mariadbd", "--no-defaults", f"--datadir={self.dir}", f"--tmpdir={self.dir}",
            f"--socket={self.dir}/sock", f"--pid-file={self.dir}/pid", f"--port={self.port}",
            f"--server-id={self.number}", f"--report-host={self.name}", "--bind-address=127.0.0.1",
            "--log-bin=bin", "--log-slave-updates", "--binlog-format=ROW", "--gtid-strict-mode=1",
            f"--read-only={int(self.number > 1)}", "--skip-slave-start",
            "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M",
            # What a commit costs the disk is not what is measured.
            "--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--performance-schema=0",
            "--skip-name-resolve", "--max-connections=6000", "--table-open-cache=4000",
            "--max-prepared-stmt-count=200000", "--back-log=4096", "--user=root"]
        log = (self.dir.parent / f"{self.name}.log").open("w")
        self.process = subprocess.Popen(pinned(CORE, command), stdout=log, stderr=log)

    def ready(self):
        for _ in range(600):
            if self.try_sql("SELECT 1").returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        sys.exit(f"{self.name} does not start: {(self.dir.parent / f'{self.name}.log').read_text()[-800:]}")

    def try_sql(self, text):
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.dir}/sock", "-uroot", "-N", "-B",
                               "-e", text], capture_output=True, text=True)

    def sql(self, text):
        out = self.try_sql(text)
        if out.returncode:
            raise RuntimeError(f"{self.name}: {text}: {out.stderr}")
        return out.stdout.strip()

    def counter(self, name):
        return int(self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'").split()[1])

    def connected(self):
        return int(self.sql("SELECT COUNT(*) FROM information_schema.processlist "
                            f"WHERE user = '{USER}'"))


class Servers:
    def __init__(self, dir):
        self.dir = dir
        self.all = [Server(dir, number) for number in (1, 2, 3)]
        self.primary, *self.replicas = self.all

    def start(self):
        subprocess.run(["mariadb-install-db", "--no-defaults", "--user=root",
                        f"--datadir={self.primary.dir}", f"--tmpdir={self.dir}",
                        "--auth-root-authentication-method=normal", "--innodb-log-file-size=32M",
                        "--skip-test-db", "--skip-name-resolve"], check=True, capture_output=True)
        for replica in self.replicas:
            shutil.copytree(self.primary.dir, replica.dir)
        for server in self.all:
            server.start()
        for server in self.all:
            server.ready()
        self.primary.sql("CREATE USER repl@'%' IDENTIFIED BY 'repl'; "
                         "GRANT REPLICATION SLAVE ON *.* TO repl@'%'; "
                         f"CREATE DATABASE sbtest; CREATE USER {USER}@'%' IDENTIFIED BY '{USER}'; "
                         f"GRANT ALL ON sbtest.* TO {USER}@'%'; CREATE USER svc@'%' IDENTIFIED BY 'svc'; "
                         "GRANT SELECT ON mysql.global_priv TO svc@'%'")
        for replica in self.replicas:
            replica.sql(f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={self.primary.port}, "
                        "MASTER_USER='repl', MASTER_PASSWORD='repl', MASTER_USE_GTID=slave_pos; START SLAVE")
        sysbench("oltp_read_write", self.primary.port, "prepare")
        self.catch_up()

    def catch_up(self):
        position = self.primary.sql("SELECT @@gtid_binlog_pos")
        for replica in self.replicas:
            if replica.sql(f"SELECT MASTER_GTID_WAIT('{position}', 60)") != "0":
                raise RuntimeError(f"{replica.name} is behind")

    def pids(self):
        return [server.process.pid for server in self.all]

    def stop(self):
        for server in self.all:
            if server.process:
                server.process.kill()
                server.process.wait()


def words(script, port, **more):
    """sysbench's command line. `threads`, `time` and what the script takes."""
    options = {"mysql-host": "127.0.0.1", "mysql-port": port, "mysql-user": USER, "mysql-password": USER,
               "mysql-db": "sbtest", "tables": TABLES, "table-size": ROWS, **more}
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


def sysbench(script, port, command, **more):
    out = subprocess.run(pinned(CORE, ["sysbench", script, *words(script, port, **more), command]),
                         capture_output=True, text=True, timeout=300)
    if out.returncode:
        raise RuntimeError((out.stdout + out.stderr)[-800:])
    return out.stdout


LINE = re.compile(r"\[ \d+s \] thds: \d+ tps: [\d.]+ qps: ([\d.]+) .*lat \(ms,\d+%\): ([\d.]+) err/s: ([\d.]+)")


def load(script, port, seconds, pids, server_pids, skip=1, **more):
    """A load of so many seconds; what it and the processes did in them, but the first."""
    command = ["sysbench", script, *words(script, port, time=seconds + skip + 9, report_interval=1, **more), "run"]
    before = spent(pids), spent(server_pids), time.monotonic()
    process = subprocess.Popen(pinned(CORE, command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    queries, latencies, errors, other = 0, [], 0, []
    marks = [before] if skip == 0 else []
    try:
        for line in process.stdout:
            found = LINE.match(line)
            if not found:
                other.append(line)
                continue
            if marks:
                queries += float(found[1])
                latencies.append(float(found[2]))
                errors += float(found[3])
            marks.append((spent(pids), spent(server_pids), time.monotonic()))
            if len(marks) > seconds:
                break
    finally:
        process.kill()
        if process.wait() != 0 and not marks:
            raise RuntimeError("".join(other)[-800:])
    if len(marks) < 2 or not queries:
        raise RuntimeError("".join(other)[-800:])
    (first, servers_first, since), (last, servers_last, until) = marks[0], marks[-1]
    took = until - since
    return {"queries": queries, "errors": errors, "rate": queries / took, "busy": (last - first) / took,
            "value": (last - first) / queries * 1e6, "p95": sum(latencies) / len(latencies),
            "servers": (servers_last - servers_first) / queries * 1e6}
