"""The servers a session of tests may meet, each started at most once."""

from dataclasses import dataclass, field
from typing import Final

from migrator.demo.cluster import Binaries, Cluster, embedded_binaries, system_binaries

DEFAULT: Final = 18
EMBEDDED: Final = (16, 18)


def majors() -> tuple[int, ...]:
    """List the major versions there are here: the extra `demo`'s, then Debian's newest if it is another."""
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
    if major in EMBEDDED:
        return embedded_binaries(major)
    found = system_binaries(major)
    assert found is not None, f"PostgreSQL {major} is not installed: apt-get install postgresql-{major}"
    return found
