"""Faults: every point of the line, every fault; run by `make chaos`, not by `make test`."""
