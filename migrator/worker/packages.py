"""Tells which packages this interpreter can import, as one line of JSON: run by its text, with their names.

It must work under any Python: a diagnosis tells by it that the interpreter is too old.
"""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Import each; user code of a package may print, so the answer is the last line."""
    sys.path[:] = [folder for folder in sys.path if folder]  # not the project's own folder called `alembic`
    found = {name: _told(name) for name in sys.argv[1:]}
    answer = {"python": list(sys.version_info[:3]), "packages": found}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _told(name: str) -> dict[str, str]:
    try:
        package = importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001 - an import runs whatever the package runs
        return {"error": "%s: %s" % (type(error).__name__, error)}  # noqa: UP031 - any Python
    return {"version": str(getattr(package, "__version__", ""))}


if __name__ == "__main__":
    main()
