"""An application that must be told its context before anything is imported from it."""

import contextlib
import contextvars
import os
from dataclasses import dataclass

from sqlalchemy import create_engine
from sqlalchemy.engine import Engine


@dataclass
class Application:
    name: str
    engine: Engine


_current: contextvars.ContextVar[Application] = contextvars.ContextVar("portal")


def current() -> Application:
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError("Working outside of application context.") from None


@contextlib.contextmanager
def application(name: str):
    app = Application(name, create_engine(os.environ["PORTAL_DSN"], pool_pre_ping=True))
    token = _current.set(app)
    try:
        yield app
    finally:
        _current.reset(token)
        app.engine.dispose()
