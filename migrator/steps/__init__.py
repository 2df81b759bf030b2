"""The steps of a run: each joins edges and decisions, and records an event once its fact is true."""
