"""Transfers between accounts: whatever happens, the total stays the same."""

import random

from .load import Worker

ACCOUNTS, EACH = 6, 1000


def prepare(site):
    site.run("CREATE TABLE bank (id INT PRIMARY KEY, balance INT)")
    site.run("INSERT INTO bank VALUES " + ", ".join(f"({n}, {EACH})" for n in range(ACCOUNTS)))


class Teller(Worker):
    """Moves an amount in a transaction, then counts."""

    def __init__(self, site, seed):
        super().__init__(site)
        self.random, self.wrong, self.transfers = random.Random(seed), [], 0

    def work(self, client):
        one, other = self.random.sample(range(ACCOUNTS), 2)
        amount = self.random.randint(1, 50)
        client.run("BEGIN")
        client.run(f"SELECT balance FROM bank WHERE id IN ({one}, {other}) ORDER BY id FOR UPDATE")
        client.run(f"UPDATE bank SET balance = balance - {amount} WHERE id = {one}")
        client.run(f"UPDATE bank SET balance = balance + {amount} WHERE id = {other}")
        client.run("COMMIT")
        self.transfers += 1
        total = int(client.run("SELECT SUM(balance) FROM bank")[0][0])
        if total != ACCOUNTS * EACH:
            self.wrong.append(total)
