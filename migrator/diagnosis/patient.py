"""The patient: what the checks of a diagnosis find at hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from migrator.history.release import Release
from migrator.history.sight import Sight
from migrator.postgres.session import Session
from migrator.steps.desk import Desk


@dataclass(frozen=True, slots=True)
class Patient:
    """What can be asked. Each of these raises our errors where it cannot be had; asking twice is cheap.

    `session` is a session of this section's own: autocommit, every transaction read-only, with a statement
    timeout of some seconds. `sight` is the state of the database, as `status` tells it.
    """

    desk: Desk
    environ: Mapping[str, str]  # as it was given, with what we do not know
    session: Callable[[], Session]
    release: Callable[[], Release]
    sight: Callable[[], Sight]
    flags: Mapping[str, str] = field(default_factory=dict)  # the command line's settings, by field

    @property
    def has_address(self) -> bool:
        """Whether it is known where the database is: settings may be missing, or make no sense."""
        settings = self.desk.settings
        return settings.database_url is not None or settings.direct_database_url is not None
