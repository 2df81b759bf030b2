"""Which backup is meant by a word on the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from migrator.backup.choosing import choose
from migrator.backup.manifest import Manifest
from migrator.backup.shelf import Found
from migrator.errors import RecoveryFailed

FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def manifest(day: int, database_id: str = "here") -> Manifest:
    finished = FIRST + timedelta(days=day)
    return Manifest(
        file=f"{finished:%Y%m%dT%H%M%SZ}-a{day}-01234567.dump",
        database="orders",
        database_id=database_id,
        server_version="18.4",
        client_version="18.4",
        size_bytes=1,
        sha256="0",
        run_id="0123456789abcdef",
        app="shop",
        release="1",
        started=finished,
        finished=finished,
        verified="archive",
    )


OLD, OTHER, NEW = (manifest(day) for day in (0, 1, 40))
FOUND = Found((OLD, OTHER, NEW), ())


def location(name: str) -> str:
    return f"/backups/orders/{name}"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("latest", NEW),
        (OLD.file, OLD),
        (OLD.name, OLD),
        (OLD.file.removesuffix(".dump"), OLD),
        (location(OTHER.file), OTHER),
        ("20260302", OTHER),
        ("202604", NEW),
    ],
)
def test_a_name_its_beginning_a_location_or_latest(word: str, meant: Manifest) -> None:
    assert choose(FOUND, word, location, database_id="here") == meant


def test_what_begins_several_names_is_refused_with_them() -> None:
    with pytest.raises(RecoveryFailed, match="several") as refusal:
        choose(FOUND, "202603", location, database_id="here")
    assert OLD.file in refusal.value.message
    assert OTHER.file in refusal.value.message


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(RecoveryFailed, match=NEW.file):
        choose(FOUND, "2025", location, database_id="here")


def test_without_any_the_reason_why_some_are_not_readable_is_told() -> None:
    with pytest.raises(RecoveryFailed, match="is not a manifest"):
        choose(Found((), ("x.manifest.json is not a manifest",)), "latest", location, database_id="here")


def test_the_latest_is_never_another_databases_that_shares_the_place() -> None:
    theirs = manifest(50, database_id="elsewhere")
    shared = Found((OLD, theirs), ())
    assert choose(shared, "latest", location, database_id="here") == OLD
    assert choose(shared, theirs.file, location, database_id="here") == theirs
    with pytest.raises(RecoveryFailed, match=theirs.file):
        choose(Found((theirs,), ()), "latest", location, database_id="here")


def test_no_word_means_no_backup() -> None:
    with pytest.raises(RecoveryFailed, match="there is no backup ''"):
        choose(Found((OLD,), ()), "", location, database_id="here")
