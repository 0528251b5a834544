"""The parts of bench/balancer."""
