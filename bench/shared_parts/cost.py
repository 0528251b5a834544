"""What a process costs."""

import subprocess
from pathlib import Path


def spent(pids):
    """CPU seconds of all threads so far."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            try:
                total += int((thread / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                pass
    return total / 1e9


def memory(pids):
    """Bytes that are the processes' own (private, and their share of what they share)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Perf:
    """A profile of the processes while it is entered; without a file, nothing."""

    def __init__(self, file, pids):
        self.file, self.pids, self.process = file, pids, None

    def __enter__(self):
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.process = subprocess.Popen(
                ["perf", "record", "-q", "-F", "1999", "-g", "-o", self.file,
                 "-p", ",".join(map(str, self.pids))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_):
        if self.process:
            self.process.send_signal(2)
            self.process.wait()
