"""Whether two databases have the same schema, by two oracles: our fingerprint and `pg_dump`."""

import difflib
from collections.abc import Iterator

from migrator.clock import Stop
from migrator.postgres.session import Connector
from migrator.schema.differences import differences as differences_of
from migrator.schema.reading import read_snapshot
from migrator.schema.snapshot import Snapshot
from migrator.settings import Dsn
from tests.real_projects.place import Place

_SHOWN = 12


def differences(ours: Place, plain: Place) -> Iterator[str]:
    """Give what differs, in words; nothing when both oracles find the same."""
    expected, actual = _snapshot(plain), _snapshot(ours)
    if expected.fingerprint != actual.fingerprint:
        found = [str(one) for one in differences_of(expected, actual)]
        yield "the fingerprint differs: " + "\n    ".join(found[:_SHOWN])
    our_dump, their_dump = ours.dump().splitlines(), plain.dump().splitlines()
    if our_dump != their_dump:
        told = list(difflib.unified_diff(their_dump, our_dump, "plain", "ours", n=0, lineterm=""))
        yield "pg_dump differs: " + "\n    ".join(told[:_SHOWN])


def _snapshot(place: Place) -> Snapshot:
    with Connector(Dsn.parse(place.url()), "real projects", Stop()).open() as session:
        return read_snapshot(session)
