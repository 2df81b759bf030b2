"""What a run tells the world: events, metrics, the termination message, the view for people."""
