"""Python imports this at its start, being first on `PYTHONPATH`: in every process of a project's own command.

It waits for SQLAlchemy and Alembic to be imported, and has the process watched from then on. A process that
imports neither never connects to the runner. Each is taken once its whole package has been imported: a
half-imported one has no engine to listen to yet.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from typing import Any, Callable

_HERE = os.path.dirname(os.path.abspath(__file__))
_ADDRESS = os.environ.get("MIGRATOR_WORKER_SOCKET")


class _Watcher(importlib.abc.MetaPathFinder):
    """Sees the import of the two packages, and attaches after it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._worker: Any = None
        self._awaited: dict[str, Callable[[Any], None]] = {
            "sqlalchemy": lambda worker: worker.sessions.attach(),
            "alembic": lambda worker: worker.attachment.attach(),
        }

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> Any:
        """Find it where it would have been found, with a loader that calls us afterwards."""
        if fullname not in self._awaited:
            return None
        attach = self._awaited.pop(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            _call_after(spec.loader, lambda: attach(self._joined()))
        return spec

    def _joined(self) -> Any:
        if self._worker is None:
            path = os.path.join(os.path.dirname(_HERE), "main.py")
            spec: Any = importlib.util.spec_from_file_location("_migrator_worker_main", path)
            main: Any = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(main)
            self._worker = main.join(self._address)
        return self._worker


def _call_after(loader: Any, call: Callable[[], None]) -> None:
    exec_module = loader.exec_module

    def executed(module: Any) -> None:
        exec_module(module)
        call()

    loader.exec_module = executed


def _run_the_other() -> None:
    """Give the start-up module its turn that would have been imported without us."""
    folders = [one for one in sys.path if os.path.abspath(one or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", folders)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if _ADDRESS:
    sys.meta_path.insert(0, _Watcher(_ADDRESS))
_run_the_other()
