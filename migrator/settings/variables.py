"""The text of a variable, or of the file that its `…_FILE` names."""

from collections.abc import Iterable, Mapping
from pathlib import Path


def text_of(names: Iterable[str], environ: Mapping[str, str], *, may_be_file: bool) -> tuple[str, str] | None:
    """Name and text of the first that is set; an empty variable counts as absent, as compose and charts do.

    Raises `ValueError` with a whole sentence, which never quotes a content.
    """
    for name in names:
        file = environ.get(f"{name}_FILE") if may_be_file else None
        if environ.get(name) and file:
            raise ValueError(f"{name} and {name}_FILE are both set: keep one")
        if environ.get(name):
            return name, environ[name]
        if file:
            return f"{name}_FILE", _content(f"{name}_FILE", file)
    return None


def _content(name: str, file: str) -> str:
    try:
        content = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"{name} names {file}, which cannot be read: {reason}") from None
    if not content:
        raise ValueError(f"{name} names {file}, which is empty")
    return content
