"""What other programs print, as lines that events can carry."""

import re

# Terminal escapes: CSI sequences, OSC strings, and other two-byte ones.
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def printable(line: bytes) -> str:
    """A line of another program's output without escapes; empty if nothing is left."""
    text = _ESCAPES.sub(b"", line).decode(errors="replace").replace("\t", "    ")
    return _CONTROL.sub("", text).rstrip()
