"""What somebody does about an INVALID index."""

from migrator.postgres.catalog import InvalidIndex


def test_what_a_reindex_left_is_only_to_be_dropped() -> None:
    left = InvalidIndex("public", "by_title_ccnew1", "book")
    assert left.remedy == 'DROP INDEX CONCURRENTLY "public"."by_title_ccnew1"'


def test_what_a_build_left_is_built_again_or_dropped() -> None:
    left = InvalidIndex("public", "by Title", "book")
    assert left.remedy == (
        'REINDEX INDEX CONCURRENTLY "public"."by Title", or DROP INDEX CONCURRENTLY "public"."by Title"'
    )
