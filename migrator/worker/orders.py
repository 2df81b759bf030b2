"""The orders: what the runner wants of this worker, as one line of JSON."""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

Orders = dict[str, Any]


def read_orders(stream: BinaryIO) -> Orders:
    """Wait for the orders; without them there is nothing to do, and nobody to tell."""
    orders: Orders = json.loads(_line(stream))
    return orders


def _line(stream: BinaryIO) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = stream.read(65536)
        if not piece:
            os._exit(1)
        line += piece
    return line
