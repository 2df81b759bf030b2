"""How large a backup may become."""

from datetime import UTC, datetime

from migrator.backup.estimate import Estimate, estimated
from migrator.backup.manifest import Manifest

TAKEN = datetime(2026, 1, 1, tzinfo=UTC)


def manifest(size_bytes: int, database_size_bytes: int) -> Manifest:
    return Manifest(
        file="1.dump",
        database="orders",
        database_size_bytes=database_size_bytes,
        server_version="18.1",
        client_version="18.1",
        size_bytes=size_bytes,
        sha256="",
        run_id="1",
        app="shop",
        release="1",
        started=TAKEN,
        finished=TAKEN,
        verified="archive",
    )


def test_a_first_backup_is_between_a_tenth_and_all_of_the_tables() -> None:
    assert estimated(1000, 5000, []) == Estimate(100, 1000)


def test_a_later_one_is_about_what_the_last_one_was_of_the_database_then() -> None:
    found = estimated(1000, 4000, [manifest(1, 1), manifest(300, 2000)])
    assert found == Estimate(300, 780)


def test_a_manifest_that_does_not_say_how_large_the_database_was_tells_nothing() -> None:
    assert estimated(1000, 4000, [manifest(300, 0)]) == Estimate(100, 1000)
