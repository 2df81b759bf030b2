"""Prove a backup by restoring it: what `MIGRATOR_BACKUP_VERIFY=restore` adds to reading it back."""

from collections.abc import Callable

from migrator.backup.manifest import Manifest
from migrator.backup.restorer import find_restorer
from migrator.backup.restoring import Filling, Workbench, proven_by_restoring
from migrator.backup.stores import Store
from migrator.postgres.scratch import likeness, scratch_prefix
from migrator.postgres.session import Session
from migrator.steps.leadership import Leadership
from migrator.steps.workshop import scratch_server


def proof_by_restoring(leadership: Leadership, store: Store) -> Callable[[Manifest, Session], Manifest]:
    """What proves further: takes the manifest and the session of the dump's snapshot, and returns it proven.

    It raises `BackupFailed`, or `PolicyRefused` where no scratch database can be made.
    """
    desk = leadership.desk

    def proven(manifest: Manifest, snapshot: Session) -> Manifest:
        server = scratch_server(desk)
        with server.reopen("the server of the scratch database") as session:
            restorer = find_restorer(desk.settings.pg_bin, manifest.client_version, session.server_version)
        filling = Filling(restorer, desk.stop, leadership.lock.keep_proving)
        workbench = Workbench(server, scratch_prefix(snapshot), likeness(snapshot))
        return proven_by_restoring(manifest, snapshot, store, filling, workbench)

    return proven
