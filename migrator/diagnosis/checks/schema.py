"""Schema: what stands half-made, what runs out, and, with `--deep`, what no revision builds."""

from collections.abc import Iterator

from migrator.account import Account
from migrator.diagnosis.finding import Check, Finding, failed, impossible, passed, warned
from migrator.diagnosis.patient import Patient
from migrator.history.state import StateName
from migrator.postgres.catalog import COUNTED, invalid_indexes, quoted
from migrator.postgres.unvalidated import unvalidated_constraints
from migrator.steps.drift import compare, versioned
from migrator.steps.models import differing_models
from migrator.steps.plan import builds_index
from migrator.steps.see import see
from migrator.telemetry.wording import counted

_WARN_SHARE, _FAIL_SHARE = 0.8, 0.95
_MOST_NAMED = 10


def _invalid(patient: Patient) -> Iterator[Finding]:
    found = sorted(invalid_indexes(patient.session()))
    for index in found:
        rebuilt = _rebuilt_by(patient, index.name)
        again = f"; pending revision {rebuilt} builds it again" if rebuilt else ""
        yield warned(
            f"index {index} is INVALID{again}",
            why="a CONCURRENTLY build was interrupted: every write pays for the index, no query uses it, and "
            "a unique one does not keep its promise",
            remedy=index.drop_statement if rebuilt else index.repair_statement,
            schema=index.schema,
            index=index.name,
            table=index.table,
        )
    if not found:
        yield passed("no index is INVALID")


def _rebuilt_by(patient: Patient, name: str) -> str | None:
    """The pending revision that would drop and build it, if one would."""
    state = patient.sight().state
    for revision in state.pending if state else ():
        if revision.path and builds_index(revision.path.read_bytes(), name):
            return revision.id
    return None


def _unvalidated(patient: Patient) -> Iterator[Finding]:
    found = sorted(unvalidated_constraints(patient.session()))
    for one in found:
        yield warned(
            f"constraint {one} is NOT VALID",
            why="rows that were there before it have never been checked",
            remedy=one.validate_statement,
            schema=one.schema,
            constraint=one.name,
            table=one.table,
        )
    if not found:
        yield passed("no constraint is NOT VALID")


def _sequences(patient: Patient) -> Iterator[Finding]:
    rows = patient.session().rows(_SEQUENCES)
    near = [row for row in rows if row[1] > _WARN_SHARE]
    for name, share, limit, table, column in near:
        remedy = f"ALTER SEQUENCE {name} AS bigint NO MAXVALUE"
        if column is not None:
            remedy += f"; ALTER TABLE {table} ALTER COLUMN {column} TYPE bigint"
        yield (failed if share > _FAIL_SHARE else warned)(
            f"sequence {name} has used {share:.1%} of what "
            f"{f'column {column} of {table}' if column else 'it'} can hold ({limit})",
            why="behind its end every INSERT fails"
            + ("; the change rewrites the table, which nobody can use meanwhile" if column else ""),
            remedy=remedy,
            sequence=name,
            used_share=round(share, 4),
            limit=limit,
        )
    if not near:
        yield passed(f"none of {counted(len(rows), 'sequence')} has used more than {_WARN_SHARE:.0%}")


# A sequence ends where it ends, or where the column that it fills does. One that goes round has no end, and
# one that counts down is rare. The values of those that the role may not read are NULL.
_SEQUENCES = """
SELECT name, used::float8 / least(most, fits)::float8, least(most, fits)::bigint, owner,
    CASE WHEN fits < 9223372036854775807 THEN attname END
FROM (
    SELECT quote_ident(s.schemaname) || '.' || quote_ident(s.sequencename) AS name, s.last_value AS used,
        s.max_value AS most, d.refobjid::regclass::text AS owner, quote_ident(a.attname) AS attname,
        CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
            ELSE 9223372036854775807 END AS fits
    FROM pg_sequences s
    JOIN pg_namespace n ON n.nspname = s.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename AND c.relkind = 'S'
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE s.increment_by > 0 AND NOT (s.cycle AND a.attname IS NULL) AND s.last_value IS NOT NULL
) s ORDER BY 2 DESC, 1
"""


def _primary_keys(patient: Patient) -> Iterator[Finding]:
    rows = patient.session().rows(_WITHOUT_KEY)
    if not rows:
        yield passed("every table has a primary key")
        return
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    named = ", ".join(table for table, *_ in rows[:_MOST_NAMED])
    yield warned(
        f"{counted(len(rows), 'table')} without a primary key: {named}{more}",
        why="logical replication cannot carry their updates, and rows that are equal cannot be told apart; "
        "best put into a revision: where no columns are unique, the table is rewritten",
        remedy="; ".join(_keyed(*row) for row in rows[:_MOST_NAMED]),
        tables=[table for table, *_ in rows],
    )


def _keyed(table: str, columns: str | None, free: str) -> str:
    if columns is not None:
        return f"ALTER TABLE {table} ADD PRIMARY KEY ({columns})"
    return (
        f"ALTER TABLE {table} ADD COLUMN {quoted(free)} bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    )


# With the columns that could be one: those of a unique index none of which may be NULL.
_WITHOUT_KEY = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname),
    (
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)
        FROM unnest(u.indkey) WITH ORDINALITY k(number, place)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
    ),
    CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'id')
        THEN left(c.relname, 60) || '_id' ELSE 'id' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT i.indkey FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
    AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
    AND NOT EXISTS (
        SELECT FROM unnest(i.indkey) k(number) JOIN pg_attribute a ON a.attrelid = c.oid
        AND a.attnum = k.number WHERE NOT a.attnotnull
    ) ORDER BY i.indnatts, i.indexrelid LIMIT 1
) u ON true
WHERE {COUNTED} AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'migrator'
AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
ORDER BY 1
"""  # noqa: S608 - a constant of ours


def _drift(patient: Patient) -> Iterator[Finding]:
    """Replay on a scratch database, as `verify` does."""
    patient.session()  # whoever cannot be reached is not waited for
    view = see(patient.desk, Account(""))
    state = versioned(view)
    matter, foreign = compare(view, state)
    heads = ", ".join(state.heads)
    beside = f"; {counted(len(foreign), 'object')} that no revision makes" if foreign else ""
    if not matter:
        yield passed(f"the schema is what the revisions build, up to {heads}{beside}")
        return
    for one in matter:
        yield failed(
            one.sentence,
            why=f"up to {heads} the revisions build something else: what relies on it fails",
            remedy=one.remedy.text,
        )


def _models(patient: Patient) -> Iterator[Finding]:
    """Never more than a warning: for most real projects `alembic check` is not clean."""
    patient.session()
    view = see(patient.desk, Account(""))
    state = view.sight.state
    if state is None or state.name is not StateName.CURRENT:
        yield impossible(
            "the models belong to the release's head, and the database is not there",
            why="what a pending revision still brings would be told as missing",
            remedy="migrator run",
        )
        return
    found, count = differing_models(view)
    if found is None:
        yield passed("env.py names no models (target_metadata)")
    elif not found:
        yield passed("the database is what the models say")
    for one in (found or ())[:_MOST_NAMED]:
        yield warned(
            f"to be what the models say: {one}",
            why="the next `alembic revision --autogenerate` would write it, with "
            f"{counted(count, 'difference')} in all",
            remedy="alembic revision --autogenerate -m 'what the models have'",
        )


CHECKS: tuple[Check, ...] = (
    Check("schema.invalid_indexes", _invalid),
    Check("schema.unvalidated_constraints", _unvalidated),
    Check("schema.sequences", _sequences),
    Check("schema.primary_keys", _primary_keys),
    Check("schema.drift", _drift, is_deep=True),
    Check("schema.models", _models, is_deep=True),
)
