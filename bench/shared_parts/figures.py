"""What the rounds of a row come to."""

import statistics


def of(figures, name, what="value"):
    values = [round[what] for round in figures.get(name, []) if what in round]
    return statistics.median(values) if values else None


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}"


def range_of(figures, name):
    values = [round["value"] for round in figures.get(name, [])]
    if not values:
        return "–"
    return f"{number(statistics.median(values))} ({number(min(values))}–{number(max(values))})"
