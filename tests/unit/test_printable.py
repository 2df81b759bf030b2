"""What user code prints, made fit for a log line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.telemetry.printable import printable


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain text", "plain text"),
        (b"trailing space  \r", "trailing space"),
        (b"", ""),
        (b" \t ", ""),
        (b"\tone\ttwo", "    one    two"),
        (b"\x1b[1;31mred\x1b[0m and \x1b[38;5;12mblue\x1b[m", "red and blue"),
        (b"\x1b]0;title\x07shell", "shell"),
        (b"\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b[2K\x1b[1Gprogress", "progress"),
        (b"50%\r100%", "50%100%"),
        (b"bell\x07 null\x00 delete\x7f", "bell null delete"),
        ("ünïcödé ✓".encode(), "ünïcödé ✓"),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_escapes_and_control_characters_are_removed(line: bytes, shown: str) -> None:
    assert printable(line) == shown


def test_a_long_line_stays_whole_until_secrets_are_masked() -> None:
    assert printable(b"x" * 200_000) == "x" * 200_000


@given(st.binary(max_size=200) | st.text("\x1b[]m0;\x07\\ab\x9b\r\n").map(str.encode))
def test_nothing_that_moves_a_terminal_survives(line: bytes) -> None:
    assert not any(unicodedata.category(one) == "Cc" for one in printable(line))
