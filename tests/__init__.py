"""The tests of migrator: `unit` without a server, `integration` with one, `acceptance` as the platform."""
