"""`migrator backups`: the backups there are, by their manifests alone; the database need not be there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from migrator.account import Account
from migrator.backup.manifest import Manifest
from migrator.backup.shelf import Found, take_stock_of
from migrator.backup.stores import Store
from migrator.clock import utc_now
from migrator.errors import MigratorError
from migrator.model import Outcome
from migrator.steps.desk import Desk
from migrator.steps.shelving import store_of
from migrator.telemetry.sheet import Block, Grid
from migrator.telemetry.wording import sized

Show = Callable[[Sequence[Block], Mapping[str, Any]], None]

_HEADINGS = ("backup", "taken", "age", "heads", "size", "proven by", "rows", "release")


def backups(desk: Desk, account: Account, *, show: Show) -> Outcome:
    """List them, the newest first; one whose manifest cannot be read is named."""
    account.reached(_database(desk))
    try:
        with account.phase("look"):
            store = store_of(desk, account.database)
            found = take_stock_of(store)
    except MigratorError as error:
        return account.failed(error)
    show(tuple(_blocks(found, store, utc_now())), document(found, store, utc_now()))
    return account.concluded("the backups were listed")


def _database(desk: Desk) -> str:
    """Its name as libpq would tell it, without asking the server."""
    return desk.dsn.database or desk.environ.get("PGDATABASE") or desk.dsn.user or ""


def document(found: Found, store: Store, now: datetime) -> dict[str, Any]:
    """The same for programs."""
    return {
        "location": store.location(""),
        "backups": [_facts(one, store, now) for one in reversed(found.manifests)],
        "unreadable": list(found.unreadable),
    }


def _facts(one: Manifest, store: Store, now: datetime) -> dict[str, Any]:
    return {
        "file": one.file,
        "location": store.location(one.file),
        "database": one.database,
        "finished": one.finished.isoformat(),
        "age_seconds": round((now - one.finished).total_seconds()),
        "heads": list(one.heads),
        "size_bytes": one.size_bytes,
        "sha256": one.sha256,
        "verified": one.verified,
        "partial": one.is_partial,
        "missing": list(one.missing),
        "app": one.app,
        "release": one.release,
        "run_id": one.run_id,
        "server_version": one.server_version,
        "tables": len(one.tables),
        "rows": sum(table.rows for table in one.tables.values()),
    }


def _blocks(found: Found, store: Store, now: datetime) -> Iterator[Block]:
    if found.manifests:
        yield Grid(_HEADINGS, tuple(_columns(one, now) for one in reversed(found.manifests)))
        yield f"in {store.location('')}"
    else:
        yield f"no backups in {store.location('')}"
    for what in found.unreadable:
        yield f"unreadable: {what}"


def _columns(one: Manifest, now: datetime) -> tuple[str, ...]:
    return (
        one.file,
        f"{one.finished:%Y-%m-%d %H:%M}Z",
        _age(now - one.finished),
        ", ".join(one.heads) or "none",
        sized(one.size_bytes),
        one.verified,
        f"partial, without {', '.join(one.missing)}" if one.is_partial else "all",
        one.release,
    )


def _age(age: timedelta) -> str:
    seconds = max(age.total_seconds(), 0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{int(seconds)} s"
