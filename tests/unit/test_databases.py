"""Names of databases that are made beside another."""

from migrator.postgres.databases import name_beside


def test_a_long_name_is_cut_between_characters() -> None:
    name = name_beside("ü" * 31, "restore", "20261122170224")
    assert len(name.encode()) <= 63
    assert name == "ü" * 20 + "_restore_20261122170224"
