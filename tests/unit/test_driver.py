"""How each driver names the way its session went: a pooler chooses the pool by it."""

from types import SimpleNamespace as Namespace

import pytest

from migrator.worker.driver import way_of

WHO = Namespace(database="shop", user="owner")


@pytest.mark.parametrize(
    ("address", "way"),
    [
        (("pooler", 6432), ["pooler", 6432, "shop", "owner"]),
        ("/run/pooler/.s.PGSQL.6432", ["/run/pooler", 6432, "shop", "owner"]),
    ],
)
def test_asyncpgs_way_is_named_as_libpq_names_it(address: object, way: list[object]) -> None:
    adapted = Namespace(_connection=Namespace(_addr=address, _params=WHO))
    assert way_of(adapted) == way


def test_libpqs_own_drivers_name_it_themselves() -> None:
    info = Namespace(host="pooler", port=6432, dbname="shop", user="owner")
    assert way_of(Namespace(info=info)) == ["pooler", 6432, "shop", "owner"]
