"""How an upload is cut: the parts are of one size, which must be chosen before the first is sent."""

import math
from dataclasses import dataclass

MEBI = 1 << 20
# Source: Amazon S3, "Multipart upload limits": 10,000 parts.
MOST_PARTS = 10_000
_SMALLEST, _LARGEST = 8 * MEBI, 512 * MEBI
_MEMORY = 64 * MEBI
_MOST_AT_ONCE = 4
# An archive may be larger than the database it is of: text may need more room than numbers do.
_MARGIN = 1.25

LARGEST_OBJECT = _LARGEST * MOST_PARTS


@dataclass(frozen=True, slots=True)
class Parts:
    """Size of a part, and how many travel at once; one more is being filled meanwhile."""

    size_bytes: int = _SMALLEST
    at_once: int = _MOST_AT_ONCE

    @classmethod
    def of(cls, expected_bytes: int) -> "Parts":
        """Parts in which an object of about this size fits, if possible in 64 MiB of memory."""
        wanted = math.ceil(expected_bytes * _MARGIN / MOST_PARTS / MEBI) * MEBI
        size = min(max(wanted, _SMALLEST), _LARGEST)
        return cls(size, min(max(_MEMORY // size - 1, 1), _MOST_AT_ONCE))

    @property
    def limit_bytes(self) -> int:
        """The largest object that these parts make."""
        return self.size_bytes * MOST_PARTS
