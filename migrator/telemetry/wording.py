"""How facts are worded for people."""


def counted(number: int, noun: str) -> str:
    """So many of something: `1 revision`, `2 revisions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
