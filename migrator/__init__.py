"""The last gate before an application starts: it migrates once per deploy."""

__version__ = "0.1.0"
