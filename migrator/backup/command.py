"""Another program takes the backup, such as a snapshot of the volume: `MIGRATOR_BACKUP_COMMAND`.

It gets facts as JSON on its standard input, and answers with one line of JSON: where the backup is that can
be used from now on. Its word is all there is: nothing here can prove what it did.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from migrator.backup.otherprogram import OtherProgram
from migrator.backup.watch import Watch
from migrator.clock import utc_now
from migrator.errors import BackupFailed
from migrator.model import Backup
from migrator.telemetry.events import Events

# Source: sysexits.h, EX_TEMPFAIL.
_TRY_AGAIN = 75
_PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)


@dataclass(frozen=True, slots=True)
class BackupCommand:
    """The program, what it is told, and for how long it may go on; without any secret of the database's."""

    words: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    timeout: timedelta
    watch: Watch
    events: Events

    @property
    def name(self) -> str:
        """How the program is called."""
        return Path(self.words[0]).name

    def take(self, facts: Mapping[str, Any]) -> Backup:
        """Run it until it says where the backup is. Raises `BackupFailed`; the schema was not touched."""
        clock = self.watch.clock
        began = clock.monotonic()
        pauses = iter(_PAUSES_SECONDS)
        while (answer := self._ask(facts, began + self.timeout.total_seconds())) is None:
            pause = next(pauses, _PAUSES_SECONDS[-1])
            if clock.monotonic() + pause - began >= self.timeout.total_seconds():
                raise self._late()
            self.events.record(
                "hazard.found",
                f"{self.name} says that it cannot take the backup now (status {_TRY_AGAIN}): "
                f"it is asked again in {pause:g} s",
                level="warning",
            )
            self._rest(pause)
        return _backup(self.name, answer, clock.monotonic() - began)

    def _rest(self, seconds: float) -> None:
        until = self.watch.clock.monotonic() + seconds
        while (left := until - self.watch.clock.monotonic()) > 0:
            self.watch.clock.sleep(min(left, 1.0))
            self.watch.look()

    def _ask(self, facts: Mapping[str, Any], until: float) -> bytes | None:
        """What it printed; None when it wants to be asked again."""
        with OtherProgram(self.words, self.environ, self.folder) as program:
            program.tell(json.dumps(facts).encode() + b"\n")
            while not program.has_ended:
                self.watch.look()
                if self.watch.clock.monotonic() >= until:
                    raise self._late()
                for line in program.hear(self.watch.stop.wakeup):
                    self.events.record("output.captured", line, stream="stderr", by=self.name)
            if program.status == _TRY_AGAIN:
                return None
            if program.status:
                last = program.last_words or "it said nothing"
                raise BackupFailed(
                    f"{self.name} failed with status {program.status}: {last}",
                    remedy="try MIGRATOR_BACKUP_COMMAND by hand; what it printed is above",
                )
            return program.printed

    def _late(self) -> BackupFailed:
        return BackupFailed(
            f"{self.name} did not take the backup within {self.timeout.total_seconds():g} s",
            remedy="see what it waits for, or raise MIGRATOR_BACKUP_COMMAND_TIMEOUT",
        )


def environment_for(
    environ: Mapping[str, str], *, secret_names: frozenset[str], secrets: tuple[str, ...]
) -> dict[str, str]:
    """What a foreign program may know: all but how to get into the database.

    Without libpq's variables, those that hold secrets of ours, and whatever holds the same password, as it is
    or as a URL writes it.
    """
    hidden = {
        form for one in secrets for form in (one, quote(one), quote(one, safe=""), quote_plus(one)) if one
    }
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("PG")
        and name not in secret_names
        and not any(secret in value for secret in hidden)
    }


def _backup(name: str, answer: bytes, seconds: float) -> Backup:
    lines = [line for line in answer.splitlines() if line.strip()]
    try:
        (said,) = map(json.loads, lines)
        location, size, digest = said["location"], said.get("size_bytes"), said.get("sha256")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unclear(name, "print one line of JSON with a location") from error
    if not isinstance(location, str) or not location.strip() or not location.isprintable():
        raise _unclear(name, "give a location as a text")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise _unclear(name, "give size_bytes as a number of bytes")
    if digest is not None and not isinstance(digest, str):
        raise _unclear(name, "give sha256 as a text")
    return Backup(location, size, digest, seconds, utc_now())


def _unclear(name: str, duty: str) -> BackupFailed:
    return BackupFailed(
        f"{name} ended with 0 and did not {duty}",
        remedy='let it print {"location": "…"} once the backup can be used, and everything else to its '
        "standard error",
    )
