"""How workers of a release are started against the database of a desk, and heard."""

from collections.abc import Callable

from migrator.history.launch import Launch
from migrator.history.listen import Listener
from migrator.history.release import Release
from migrator.postgres.session import Way
from migrator.steps.desk import Desk


def launch_for(desk: Desk, release: Release, identity: str, way_through_pooler: Way | None = None) -> Launch:
    """Starts workers of this release against the database that says this of itself."""
    return Launch(
        settings=desk.settings,
        project=release.project,
        python=release.python,
        dsn=desk.dsn,
        identity=identity,
        environ=desk.environ,
        application=desk.application,
        stop=desk.stop,
        way_through_pooler=way_through_pooler,
    )


def listener_for(
    desk: Desk, release: Release, identity: str, check: Callable[[], None], way: Way | None = None
) -> Listener:
    """Hears workers that run against that database; `check` raises when they are to end."""
    launch = launch_for(desk, release, identity, way)
    return Listener(launch, desk.connector, desk.clock, desk.events, check, release.graph.docs)
