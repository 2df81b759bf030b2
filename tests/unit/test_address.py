"""pg_dump connects as we do, or not at all."""

import pytest
from psycopg import pq

from migrator.backup.address import dump_variables
from migrator.errors import PolicyRefused
from migrator.settings import Dsn

VARIABLES = {one.keyword.decode(): one.envvar.decode() for one in pq.Conninfo.get_defaults() if one.envvar}
# What a dump has a reason of its own for.
OURS = {"application_name", "client_encoding", "gssdelegation", "sslmode"}


@pytest.mark.parametrize("keyword", sorted(VARIABLES.keys() - OURS - {"connect_timeout", "port", "host"}))
def test_every_keyword_that_has_a_variable_reaches_pg_dump(keyword: str) -> None:
    assert dump_variables(Dsn.parse(f"postgresql:///?{keyword}=1"))[VARIABLES[keyword]] == "1"


def test_the_address_reaches_pg_dump() -> None:
    dsn = Dsn.parse("postgresql://u:p@db:1/x?connect_timeout=7&sslmode=require").at("db", 1, "10.0.0.1")
    assert dump_variables(dsn) == {
        "PGHOST": "db",
        "PGHOSTADDR": "10.0.0.1",
        "PGPORT": "1",
        "PGUSER": "u",
        "PGPASSWORD": "p",
        "PGDATABASE": "x",
        "PGCONNECT_TIMEOUT": "7",
        "PGSSLMODE": "require",
    }


def test_a_keyword_without_a_variable_is_refused_by_name() -> None:
    with pytest.raises(PolicyRefused, match="sslpassword") as refusal:
        dump_variables(Dsn.parse("postgresql://db/x?sslpassword=secret"))
    assert "secret" not in f"{refusal.value.message} {refusal.value.remedy}"


def test_a_dump_keeps_the_encoding_of_its_database() -> None:
    assert dump_variables(Dsn.parse("postgresql:///x?client_encoding=latin1")) == {"PGDATABASE": "x"}
