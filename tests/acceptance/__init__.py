"""The entrypoint, run as the platform runs it."""
