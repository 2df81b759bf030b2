"""The ledger's tables, schema `migrator` of the target database, and their versions.

`migrator.run` has a row per run that led and had something to do; `migrator.revision` a row per revision of
the lineage, with parents, so that an older release can tell *ahead* from *diverged*; `migrator.version_table`
names the version tables `env.py` configures, so that a deploy with nothing to do need not run it;
`migrator.adoption` says which revisions were adopted, by whose word; `migrator.half_applied` what a revision
committed that died before it was recorded.

Any migrator meets ledgers of other versions. So a version only adds: tables, and columns that may be null.
Whoever reads names what it reads, and takes what is absent for unknown; whoever writes names it too. A column
never changes its meaning.
"""

import re

from migrator.postgres.session import Session

VERSION = 3

_1 = """
CREATE SCHEMA IF NOT EXISTS migrator;
CREATE TABLE IF NOT EXISTS migrator.run (
    id text PRIMARY KEY,
    app text NOT NULL,
    release text NOT NULL,
    release_digest text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text,
    exit_code int,
    heads_before text[] NOT NULL,
    heads_after text[],
    backup_location text,
    backup_sha256 text,
    error text
);
CREATE TABLE IF NOT EXISTS migrator.revision (
    id text PRIMARY KEY,
    parents text[] NOT NULL,
    digest text,
    applied_at timestamptz,
    run_id text,
    found boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS migrator.version_table (
    history text NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    PRIMARY KEY (history, schema_name, table_name)
);
"""
# `run`: how far it is, and what a remembered failure needs: `circumstances` is a digest of all that decides
# how a try ends, but the version rows. `began_empty` and `half_applied` tell whether what is there can only
# be what runs of ours made. `version_table.heads`: the rows of the history when last recorded.
_2 = """
ALTER TABLE migrator.run
    ADD COLUMN IF NOT EXISTS planned int,
    ADD COLUMN IF NOT EXISTS position int,
    ADD COLUMN IF NOT EXISTS revision text,
    ADD COLUMN IF NOT EXISTS revision_started_at timestamptz,
    ADD COLUMN IF NOT EXISTS circumstances text,
    ADD COLUMN IF NOT EXISTS remedy text,
    ADD COLUMN IF NOT EXISTS began_empty boolean,
    ADD COLUMN IF NOT EXISTS half_applied text[];
ALTER TABLE migrator.revision ADD COLUMN IF NOT EXISTS digest_algorithm int;
ALTER TABLE migrator.version_table ADD COLUMN IF NOT EXISTS heads text[];
CREATE TABLE IF NOT EXISTS migrator.adoption (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision text NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id text NOT NULL,
    proven boolean NOT NULL,
    differences text[] NOT NULL
);
"""
# `half_applied`: what a revision committed of itself before its version row was there, written by its own
# session; `begun` was sent and may have been committed. Void once the row is there, or when `settled_at`.
_3 = """
CREATE TABLE IF NOT EXISTS migrator.half_applied (
    run_id text NOT NULL,
    version_table text NOT NULL,
    revision text NOT NULL,
    digest text NOT NULL,
    committed text[] NOT NULL DEFAULT '{}',
    committed_count int NOT NULL DEFAULT 0,
    begun text,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    PRIMARY KEY (run_id, version_table, revision)
);
"""
_COMMENT = "migrator ledger, version {}"


def exists(session: Session) -> bool:
    """Whether there is a ledger, whatever its version. Raises `AccessDenied` where we may not even look."""
    return session.value("SELECT to_regclass('migrator.version_table')") is not None


def bring_up_to_date(session: Session) -> None:
    """Create what is missing; a newer ledger is left as it is.

    Every statement may be repeated: an older migrator may have put its own version in the comment since.
    Raises `MigratorError` when the role may not; the session is of no more use then.
    """
    if _version(session) < VERSION:
        comment = _COMMENT.format(VERSION)
        session.rows(f"BEGIN; {_1} {_2} {_3} COMMENT ON SCHEMA migrator IS '{comment}'; COMMIT")


def _version(session: Session) -> int:
    comment = session.value("SELECT obj_description(to_regnamespace('migrator')::oid, 'pg_namespace')")
    found = re.fullmatch(_COMMENT.format(r"(\d+)"), comment or "")
    return int(found[1]) if found else 0
