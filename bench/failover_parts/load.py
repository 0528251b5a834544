"""Writers of ids that only grow, through the SQL router: what was acknowledged, and when."""

import threading
import time

from .client import Broken, Refused

WRITERS = 4
PAUSE = 0.004


class Worker(threading.Thread):
    """Works with a connection of its own until it is told to stop; after an error it connects anew."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.over, self.errors = site, False, []

    def run(self):
        client = None
        while not self.over:
            try:
                client = client or self.site.connect()
                self.work(client)
            except (Broken, Refused) as e:
                self.errors.append((time.monotonic(), str(e)))
                if client:
                    client.close()
                client = None
            time.sleep(PAUSE)

    def stop(self):
        self.over = True
        self.join(60)
        if self.is_alive():
            raise RuntimeError("a statement has no answer after a minute")


class Writer(Worker):
    def __init__(self, site, number, next_id):
        super().__init__(site)
        self.next, self.sent, self.acknowledged = next_id, 0, []

    def work(self, client):
        self.next += 1
        self.sent += 1
        client.run(f"INSERT INTO ledger VALUES ({self.next})")
        self.acknowledged.append((time.monotonic(), self.next))


class Ledger:
    """Over the whole run: what may never be lost."""

    def __init__(self, site):
        self.site, self.acknowledged, self.errors = site, [], []
        self.next = [n * 10**9 for n in range(WRITERS)]
        site.run("CREATE TABLE ledger (id BIGINT PRIMARY KEY)")

    def start(self):
        self.writers = [Writer(self.site, n, self.next[n]) for n in range(WRITERS)]
        for writer in self.writers:
            writer.start()

    def wait_for_write(self, since):
        """A write acknowledged after this moment."""
        until = time.monotonic() + 60
        while not any(w.acknowledged and w.acknowledged[-1][0] > since for w in self.writers):
            if time.monotonic() > until:
                raise RuntimeError("nothing is acknowledged any more")
            time.sleep(0.01)

    def stop(self):
        for writer in self.writers:
            writer.stop()
        self.next = [writer.next for writer in self.writers]
        self.acknowledged += [entry for writer in self.writers for entry in writer.acknowledged]
        self.errors += [error for writer in self.writers for error in writer.errors]

    def pause(self, since, until):
        """The longest time without an acknowledged write."""
        times = sorted(at for at, _ in self.acknowledged)
        gaps = [(b - a) for a, b in zip(times, times[1:]) if b > since and a < until]
        return max(gaps)

    def lost(self):
        """On each server: acknowledged writes that it does not have."""
        written = {id for _, id in self.acknowledged}
        answers = self.site.on_each("SELECT id FROM ledger")
        return {name: len(written - {int(id) for id, in rows}) for name, rows in answers.items()}
