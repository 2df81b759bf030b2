"""How workers of a release are started against the database of a desk."""

from migrator.history.launch import Launch
from migrator.history.release import Release
from migrator.steps.desk import Desk


def launch_for(desk: Desk, release: Release, identity: str) -> Launch:
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
    )
