"""Two spellings of one expression: as Postgres prints it first, and once that print was read in again.

A list of strings that is compared with a `varchar`, as in `CHECK (kind IN ('a', 'b'))`, is printed as an
array that is cast as a whole. Reading that, Postgres casts each element; so does every restored dump.
"""

import re
from typing import Any

_ELEMENT = r"'(?:[^']|'')*'::[\w. \"]+(?:\(\d+\))?"
_CAST_AS_A_WHOLE = re.compile(rf"\(ARRAY\[({_ELEMENT}(?:, {_ELEMENT})*)\]\)::([\w. \"]+)\[\]")
_ONE = re.compile(_ELEMENT)


def settled(value: Any) -> Any:
    """The fact in the spelling that stays the same when it is read in again."""
    if isinstance(value, str):
        return _CAST_AS_A_WHOLE.sub(_cast_each, value) if "])::" in value else value
    if isinstance(value, list):
        return [settled(one) for one in value]
    return value


def _cast_each(found: re.Match[str]) -> str:
    elements, type_ = found.groups()
    return f"ARRAY[{', '.join(f'({one})::{type_}' for one in _ONE.findall(elements))}]"
