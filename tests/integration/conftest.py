"""What every test with one server may ask for."""

from collections.abc import Callable

import pytest

from migrator.clock import Stop
from migrator.postgres.session import Connector
from migrator.settings import Dsn
from tests.support.target import Target

Connect = Callable[..., Connector]


@pytest.fixture
def connect_to() -> Connect:
    """Make a connector to a target, under an application's name of its own if one is given."""

    def make(target: Target, application: str = "migrator test") -> Connector:
        return Connector(Dsn.parse(target.url), application, Stop())

    return make


@pytest.fixture
def connector(target: Target, connect_to: Connect) -> Connector:
    """Opens sessions to the target."""
    return connect_to(target)
