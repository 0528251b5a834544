"""A register in one row: reads, writes and compare-and-set, and whether some order explains the answers.

The order must agree with time: what had ended before another began comes before it. An operation without
an answer may have happened at any time after it began, or never.
"""

import random
import time

from .client import Broken, Refused
from .load import Worker


def prepare(site):
    site.run("CREATE TABLE register (name INT PRIMARY KEY, value BIGINT)")


class User(Worker):
    """Notes (began, ended or None, what, answer)."""

    def __init__(self, site, name, number):
        super().__init__(site)
        self.name, self.number, self.count, self.history = name, number, 0, []
        self.random, self.last = random.Random(number), 0

    def work(self, client):
        self.count += 1
        new = self.count * 10 + self.number
        what = self.random.choice(["read", "write", "swap"])
        began = time.monotonic()
        try:
            if what == "read":
                # FOR UPDATE: from the primary.
                sql = f"SELECT value FROM register WHERE name = {self.name} FOR UPDATE"
                self.last = int(client.run(sql)[0][0])
                step = ("read", self.last)
            elif what == "write":
                step = ("write", new)
                client.run(f"UPDATE register SET value = {new} WHERE name = {self.name}")
            else:
                step = ("swap", self.last, new)
                changed = client.run(f"UPDATE register SET value = {new} WHERE name = {self.name} "
                                     f"AND value = {self.last}")
                step = step if changed else ("not", self.last)
        except (Broken, Refused):
            if what != "read":
                self.history.append((began, None, step))
            raise
        self.history.append((began, time.monotonic(), step))
        time.sleep(0.01)


def after(value, step):
    """The value after the step, or None when it cannot be."""
    match step:
        case ("read", seen):
            return value if value == seen else None
        case ("write", new):
            return new
        case ("swap", old, new):
            return new if value == old else None
        case ("not", old):
            return value if value != old else None


def explained(history, first):
    """Is there such an order? Follows all that are possible, moment by moment."""
    events = sorted([(began, 0, n) for n, (began, _, _) in enumerate(history)]
                    + [(ended, 1, n) for n, (_, ended, _) in enumerate(history) if ended])
    # Each: the value, and what is under way and has had its effect.
    possible, under_way = {(first, frozenset())}, set()
    for _, ends, n in events:
        if not ends:
            under_way.add(n)
            continue
        reached, new = set(possible), possible
        while new:
            new = {(value, done | {m}) for old, done in new for m in under_way - done
                   if (value := after(old, history[m][2])) is not None} - reached
            reached |= new
        possible = {(value, done - {n}) for value, done in reached if n in done}
        under_way.remove(n)
        if not possible:
            return False
    return True


def check_the_checker():
    """Histories that cannot be, and some that can."""
    stale = [(0, 1, ("write", 1)), (2, 3, ("read", 0))]
    lost = [(0, 1, ("write", 1)), (2, 3, ("write", 2)), (4, 5, ("read", 1))]
    twice = [(0, 5, ("swap", 0, 1)), (0, 5, ("swap", 0, 2))]
    undone = [(0, None, ("write", 1)), (2, 3, ("read", 1)), (4, 5, ("read", 0))]
    assert not any(explained(history, 0) for history in (stale, lost, twice, undone))
    together = [(0, 3, ("write", 1)), (1, 2, ("read", 0)), (2.5, 4, ("read", 1))]
    unknown = [(0, None, ("write", 1)), (2, 3, ("read", 0)), (4, 5, ("read", 1))]
    assert all(explained(history, 0) for history in (together, unknown))
