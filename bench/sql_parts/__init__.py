"""The parts of bench/sql."""
