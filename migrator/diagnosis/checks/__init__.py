"""The checks, a module for each section; each has its own `CHECKS`, in the order in which they are told."""

from migrator.diagnosis.checks import (
    activity,
    backup,
    connection,
    environment,
    files,
    packages,
    privileges,
    schema,
    server,
    state,
    telemetry,
)
from migrator.diagnosis.finding import Check

SECTIONS: tuple[tuple[Check, ...], ...] = (
    environment.CHECKS,
    packages.CHECKS,
    connection.CHECKS,
    server.CHECKS,
    privileges.CHECKS,
    files.CHECKS,
    state.CHECKS,
    schema.CHECKS,
    activity.CHECKS,
    backup.CHECKS,
    telemetry.CHECKS,
)
