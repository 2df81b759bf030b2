"""The commands besides `run`, a module each: `execute(...)` returns the exit status."""
