"""The checks, a module for each section; each has its own `CHECKS`, in the order in which they are told."""

from migrator.diagnosis.checks import connection, environment, packages, server, telemetry
from migrator.diagnosis.finding import Check

SECTIONS: tuple[tuple[Check, ...], ...] = (
    environment.CHECKS,
    packages.CHECKS,
    connection.CHECKS,
    server.CHECKS,
    telemetry.CHECKS,
)
