"""Which revision an INVALID index stands in the way of."""

import textwrap

import pytest

from migrator.steps.plan import builds_index


def seems_to_build(upgrade: str, *, header: str = "", downgrade: str = "pass") -> bool:
    source = f'{header}\n\ndef upgrade():\n    """Upgrade."""\n{_body(upgrade)}\n'
    source += f"\n\ndef downgrade():\n{_body(downgrade)}\n"
    return builds_index(source.encode(), "ix_busy")


def _body(code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), "    ")


@pytest.mark.parametrize(
    "upgrade",
    [
        'op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_busy ON busy (i)")',
        'op.create_index("ix_busy", "busy", ["i"], postgresql_concurrently=True, if_not_exists=True)',
        'op.create_index(op.f("ix_busy"), "busy", ["i"], postgresql_concurrently=True)',
        'op.execute(f"create index concurrently if not exists ix_busy on {TABLE} (i)")',
        'op.drop_index("ix_busy_too")\nop.execute("CREATE INDEX CONCURRENTLY ix_busy ON busy (i)")',
        'op.execute("DROP INDEX other; CREATE INDEX CONCURRENTLY ix_busy ON busy (i)")',
    ],
)
def test_a_concurrent_build_of_it(upgrade: str) -> None:
    assert seems_to_build(upgrade)


@pytest.mark.parametrize(
    "upgrade",
    [
        'op.execute("drop index if exists ix_busy")\nop.execute("create index ix_busy on busy (i)")',
        'op.drop_index("ix_busy")\nop.create_index("ix_busy", "busy", ["i"], postgresql_concurrently=True)',
        'op.execute("REINDEX INDEX CONCURRENTLY ix_busy")',
        'op.execute(\'DROP INDEX CONCURRENTLY IF EXISTS "public"."ix_busy"\')',
        'op.drop_index(index_name="ix_busy", postgresql_concurrently=True)',
        "op.execute(\"COMMENT ON INDEX ix_busy IS 'slow'\")",
        'op.create_index("ix_busy_too", "busy", ["i"], postgresql_concurrently=True)',
    ],
)
def test_no_concurrent_build_of_it(upgrade: str) -> None:
    assert not seems_to_build(upgrade)


def test_what_is_only_talked_about_is_not_built() -> None:
    header = '"""Unlike ix_busy, which is built CONCURRENTLY."""\n# ix_busy: CONCURRENTLY'
    assert not seems_to_build('"""ix_busy"""\npass  # ix_busy CONCURRENTLY', header=header)


def test_what_a_downgrade_drops_is_built_all_the_same() -> None:
    upgrade = 'op.create_index("ix_busy", "busy", ["i"], postgresql_concurrently=True)'
    assert seems_to_build(upgrade, downgrade='op.drop_index("ix_busy", postgresql_concurrently=True)')


def test_source_of_a_newer_python_is_taken_by_its_words() -> None:
    assert builds_index(
        b'new syntax here: op.execute("CREATE INDEX CONCURRENTLY ix_busy ON b (i)")', "ix_busy"
    )
    assert not builds_index(b'new syntax here: op.execute("CREATE INDEX ix_busy ON b (i)")', "ix_busy")
