"""Any Alembic project works unchanged: each kind runs as it is, and makes what the plain tool makes.

The projects are under `tests/projects`, complete as their users would have them. No copy is edited.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.projects import (
    Kind,
    assert_idle,
    copy_project,
    dump,
    migrator_in,
    plain_alembic,
    rows_of,
    said,
    second_database,
    with_driver,
)
from tests.support.runner import Migrator
from tests.support.target import Target

PUBLIC = "public.alembic_version"

Variables = Callable[[Target], Mapping[str, str]]


def variable(name: str, driver: str = "") -> Variables:
    """The URL in a variable of the project's own."""
    return lambda target: {name: with_driver(target, driver) if driver else target.url}


def parts(target: Target) -> Mapping[str, str]:
    return {
        "DB_HOST": target.host,
        "DB_PORT": str(target.port),
        "DB_USER": target.user,
        "DB_PASSWORD": target.password,
        "DB_NAME": target.database,
    }


def settings_object(target: Target) -> Mapping[str, str]:
    return {
        "POSTGRES_SERVER": target.host,
        "POSTGRES_PORT": str(target.port),
        "POSTGRES_USER": target.user,
        "POSTGRES_PASSWORD": target.password,
        "POSTGRES_DB": target.database,
    }


KINDS = [
    Kind("template", {PUBLIC: ["c07e5d93f1a8"]}, 3),
    Kind("template-psycopg2", {PUBLIC: ["c07e5d93f1a8"]}, 3, folder="template", driver="psycopg2"),
    Kind("async_template", {PUBLIC: ["d92b7a1c4e05"]}, 3),
    Kind("async_template-psycopg", {PUBLIC: ["d92b7a1c4e05"]}, 3, folder="async_template", driver="psycopg"),
    Kind("async_at_import", {PUBLIC: ["2e4f6a8b0c1d"]}, 2, variables=variable("DATABASE_URL")),
    Kind(
        "async_at_import-psycopg",
        {PUBLIC: ["2e4f6a8b0c1d"]},
        2,
        folder="async_at_import",
        variables=lambda target: {"DATABASE_URL": target.url, "DATABASE_DRIVER": "postgresql+psycopg_async"},
    ),
    Kind(
        "url_variable",
        {PUBLIC: ["2b3c4d5e6f70"]},
        2,
        variables=variable("SQLALCHEMY_DATABASE_URI", "psycopg2"),
        settings={"MIGRATOR_SCRIPT_LOCATION": "alembic"},
    ),
    Kind("url_parts", {PUBLIC: ["20240106_0900_second"]}, 2, variables=parts),
    Kind("url_settings", {PUBLIC: ["d98dd8ec85a3"]}, 3, variables=settings_object),
    Kind("url_fallback", {PUBLIC: ["5150aa02"]}, 2, variables=variable("SHOP_DATABASE_URL", "psycopg2")),
    Kind("attributes", {PUBLIC: ["8d7c6b5a4930"]}, 2),
    Kind("attributes_own", {"library.alembic_version": ["b00c2"]}, 2),
    Kind("pyproject", {PUBLIC: ["a2f1e0d3c4b6"]}, 2, variables=variable("NOTES_DATABASE_URL")),
    Kind(
        "several_bases",
        {PUBLIC: ["b2222222aaaa", "c2222222bbbb"]},
        4,
        settings={"MIGRATOR_TARGET": "heads"},
        plain=("upgrade", "heads"),
    ),
    Kind(
        "several_directories",
        {PUBLIC: ["a1b1c1d1e1f1", "d2e2f2a2b2c2"]},
        3,
        settings={"MIGRATOR_TARGET": "heads"},
        plain=("upgrade", "heads"),
    ),
    Kind("version_table", {"meta.schema_version": ["0003"]}, 3, before="CREATE SCHEMA meta"),
    Kind("wide_ids", {PUBLIC: ["2024_02_01_customers_get_a_preferred_language_of_their_own"]}, 2),
    Kind("widened_ids", {PUBLIC: ["002_widgets_have_a_name_that_is_quite_long"]}, 2),
    Kind(
        "tenants",
        {"acme.alembic_version": ["8e0a1b2c3d4e"], "umbrella.alembic_version": ["8e0a1b2c3d4e"]},
        2,
        before="CREATE TABLE tenant (schema_name text PRIMARY KEY);"
        "CREATE SCHEMA acme; CREATE SCHEMA umbrella;"
        "INSERT INTO tenant VALUES ('acme'), ('umbrella')",
    ),
    Kind(
        "tenants_translated",
        {"umbrella.alembic_version": ["bb01bb02cc03"]},
        2,
        settings={"MIGRATOR_ALEMBIC_X": "tenant=umbrella"},
        plain=("-x", "tenant=umbrella", "upgrade", "head"),
    ),
    Kind("hostile_noisy", {PUBLIC: ["bad0000002"]}, 2),
    Kind(
        "rival_heads",
        {PUBLIC: ["ba5e0003"]},
        3,
        settings={"MIGRATOR_TARGET": "main@head"},
        plain=("upgrade", "main@head"),
    ),
    Kind(
        "expand_contract",
        {PUBLIC: ["c1000002"]},
        4,
        settings={"MIGRATOR_TARGET": "heads"},
        plain=("upgrade", "heads"),
    ),
    Kind("own_lock", {PUBLIC: ["ab000002"]}, 2),
    Kind("own_lock_session", {PUBLIC: ["ab000002"]}, 2),
    Kind("autocommit_blocks", {PUBLIC: ["c1c00004"]}, 4),
    Kind("no_transactional_ddl", {PUBLIC: ["0dd10002"]}, 2),
    Kind("autocommit_engine", {PUBLIC: ["aa000002"]}, 2),
    Kind("local_search_path", {"app.alembic_version": ["ab000002"]}, 2),
    Kind("outer_transaction", {PUBLIC: ["ab000002"]}, 2),
    Kind("commit_in_revision", {PUBLIC: ["c0111103"]}, 3, driver="psycopg2"),
    Kind("orm_revisions", {PUBLIC: ["0a110003"]}, 3),
    Kind("replaceable_objects", {PUBLIC: ["0be1ec02"]}, 2),
    Kind(
        "ini_section",
        {PUBLIC: ["ab000002"]},
        2,
        settings={
            "MIGRATOR_ALEMBIC_CONFIG": "config/alembic.ini",
            "MIGRATOR_ALEMBIC_SECTION": "alembic:primary",
        },
        plain=("-c", "config/alembic.ini", "-n", "alembic:primary", "upgrade", "head"),
    ),
    Kind("creator", {PUBLIC: ["ab000002"]}, 2, variables=parts),
    Kind("async_creator", {PUBLIC: ["ab000002"]}, 2, variables=parts),
    Kind("token_login", {PUBLIC: ["ab000002"]}, 2, variables=parts),
    Kind("quoted_names", {"Tenant-A.Alembic Version": ["ab000002"]}, 2, before='CREATE SCHEMA "Tenant-A"'),
    Kind("session_connection", {PUBLIC: ["ab000002"]}, 2, variables=variable("DATABASE_URL", "psycopg2")),
    Kind("computed_ids", {PUBLIC: ["r002"]}, 2, starts_worker=True),
    Kind("merges", {PUBLIC: ["3e000007"]}, 7),
    Kind("database_made", {PUBLIC: ["ab000002"]}, 2, variables=variable("DATABASE_URL")),
    Kind("helper_configures", {"public.migrations": ["ab000002"]}, 2),
    Kind("star_imports", {PUBLIC: ["5a000002"]}, 2, starts_worker=True),
    Kind("class_revisions", {PUBLIC: ["acc002"]}, 2, starts_worker=True),
    Kind(
        "env_in_package",
        {"service.service_alembic": ["5e7f1ce2"]},
        2,
        settings={"MIGRATOR_ALEMBIC_CONFIG": "service/db/alembic.ini"},
        plain=("-c", "service/db/alembic.ini", "upgrade", "head"),
    ),
    Kind("retrying_engine", {PUBLIC: ["ab000002"]}, 2),
    Kind("two_configures", {"blue.blue_version": ["ab000002"], "green.green_version": ["ab000002"]}, 2),
    Kind("search_path", {"warehouse.alembic_version": ["5ea0002"]}, 2, before="CREATE SCHEMA warehouse"),
]

# The same with the oldest Alembic and SQLAlchemy a project may have.
_ON_THE_OLDEST = {
    "attributes",
    "autocommit_blocks",
    "autocommit_engine",
    "commit_in_revision",
    "local_search_path",
    "merges",
    "no_transactional_ddl",
    "outer_transaction",
    "own_lock",
    "quoted_names",
    "replaceable_objects",
    "search_path",
    "several_bases",
    "token_login",
}
KINDS += [
    dataclasses.replace(
        kind,
        name=f"{kind.name}-oldest",
        folder=kind.folder or kind.name,
        driver="psycopg2",
        environment="oldest",
    )
    for kind in KINDS
    if kind.name in _ON_THE_OLDEST
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_runs_unmodified_and_makes_what_the_plain_tool_makes(
    kind: Kind, migrator: Migrator, target: Target, tmp_path: Path
) -> None:
    if kind.before:
        target.execute(kind.before)
    copy = copy_project(kind.folder or kind.name, tmp_path / "ours", kind.python)
    environ = {"DATABASE_URL": kind.url(target), **kind.variables(target), **kind.settings}
    ours = migrator_in(migrator, copy, environ)
    first = ours()
    assert first.exit_code == 0, said(first)
    assert len(first.last["revisions_applied"]) == kind.applied, first.last
    told = {event["revision"] for event in first.named("revision.applied")}
    assert told == set(first.last["revisions_applied"])
    assert rows_of(target, kind.rows) == {table: sorted(rows) for table, rows in kind.rows.items()}

    started = copy.count_starts()
    assert_idle(ours())
    assert kind.starts_worker or copy.count_starts() == started, "a run with nothing to do started a worker"
    gate = ours("gate")
    assert gate.exit_code == 0, said(gate)
    for command in ("status", "plan"):
        answer = ours(command, MIGRATOR_LOG_FORMAT="text")
        assert answer.exit_code == 0, (command, answer.stdout, answer.stderr)

    plain = second_database(target, "plain")
    if kind.before:
        plain.execute(kind.before)
    plain_copy = copy_project(kind.folder or kind.name, tmp_path / "plain", kind.python)
    done = plain_alembic(
        plain_copy, plain, kind.plain, kind.variables(plain), driver=kind.driver or "psycopg"
    )
    assert done.returncode == 0, done.stderr
    assert dump(target) == dump(plain)
