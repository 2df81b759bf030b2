"""The child process: user code runs here and nowhere else. Nobody imports this; it is run by its path."""
