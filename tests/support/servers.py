"""The servers a session of tests may meet, each started at most once."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from migrator.demo.cluster import Binaries, Cluster, embedded_binaries, system_binaries

EMBEDDED: Final = (16, 18)


def _given() -> Binaries | None:
    """The installation that MIGRATOR_TEST_SERVER names by its folder `bin`: every test runs on it alone."""
    folder = os.environ.get("MIGRATOR_TEST_SERVER")
    if not folder:
        return None
    said = subprocess.run([Path(folder, "postgres"), "--version"], check=True, capture_output=True, text=True)
    found = re.search(r"\) (\d+)", said.stdout)
    assert found is not None, said.stdout
    return Binaries(Path(folder).resolve(), int(found[1]))


GIVEN: Final = _given()
DEFAULT: Final = GIVEN.major if GIVEN else 18


def majors() -> tuple[int, ...]:
    """List the major versions there are here: the extra `demo`'s, then Debian's newest if it is another."""
    if GIVEN:
        return (GIVEN.major,)
    system = system_binaries()
    return EMBEDDED if system is None or system.major in EMBEDDED else (*EMBEDDED, system.major)


@dataclass(frozen=True, slots=True)
class Servers:
    """One cluster per major version, started when first asked for and kept until `close`."""

    _running: dict[int, Cluster] = field(default_factory=dict)

    def cluster(self, major: int) -> Cluster:
        """Give the cluster of this major version.

        Raises:
            AssertionError: no such server is installed here; a test that wants one fails rather than skips.
        """
        if major not in self._running:
            self._running[major] = Cluster.start(binaries(major))
        return self._running[major]

    def close(self) -> None:
        """End them all."""
        for cluster in self._running.values():
            cluster.close()


def binaries(major: int) -> Binaries:
    """Find the installation of this major version.

    Raises:
        AssertionError: there is none here.
    """
    if GIVEN and GIVEN.major == major:
        return GIVEN
    if major in EMBEDDED:
        return embedded_binaries(major)
    found = system_binaries(major)
    assert found is not None, f"PostgreSQL {major} is not installed: apt-get install postgresql-{major}"
    return found
