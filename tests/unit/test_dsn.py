"""A database's address: every spelling people use, awkward passwords, several hosts, sockets."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from migrator.settings import Dsn, Secret
from tests.support.target import AWKWARD


@pytest.mark.parametrize(
    "url",
    [
        "postgres://shop:pw@db:5433/orders",
        "postgresql://shop:pw@db:5433/orders",
        "PostgreSQL://shop:pw@db:5433/orders",
        "  postgresql://shop:pw@db:5433/orders\n",
        "postgresql://shop:p%77@db:5433/orders",
        "postgresql://db:5433/orders?user=shop&password=pw",
        "postgresql://shop@db:5433/orders?password=pw",
        "postgresql://shop:pw@/orders?host=db&port=5433",
        "postgresql://shop:pw@db:5433/?dbname=orders",
        "postgresql://shop:pw@db:5433?dbname=orders",
    ],
)
def test_every_spelling_of_an_address_means_the_same(url: str) -> None:
    assert Dsn.parse(url) == Dsn(user="shop", password=Secret("pw"), hosts=(("db", 5433),), database="orders")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg", "pg8000"])
def test_a_sqlalchemy_url_names_its_driver(driver: str) -> None:
    assert Dsn.parse(f"postgresql+{driver}://db/shop").driver == driver
    assert Dsn.parse(f"postgresql+{driver}://db/shop").libpq() == {"host": "db", "dbname": "shop"}


@pytest.mark.parametrize(
    "password",
    ["p@ss", "a:b", "a/b", "a#b", "%", "100%", "p@s:s/w#rd", "a b", "ünïcödé", "[x]", "?", "1/2", "@", "a,b"],
)
def test_a_password_may_be_pasted_as_it_is(password: str) -> None:
    dsn = Dsn.parse(f"postgresql://shop:{password}@db:5432/orders")
    assert dsn == Dsn(user="shop", password=Secret(password), hosts=(("db", 5432),), database="orders")


def test_an_at_sign_in_the_query_belongs_to_the_query() -> None:
    dsn = Dsn.parse("postgresql://db:5432/orders?user=shop@server&application_name=a@b")
    assert dsn.hosts == (("db", 5432),)
    assert (dsn.user, dsn.password, dsn.database) == ("shop@server", None, "orders")


def test_several_hosts_keep_their_ports() -> None:
    dsn = Dsn.parse("postgresql://shop@db1:5433,db2,[::1]:5434/orders")
    assert dsn.hosts == (("db1", 5433), ("db2", None), ("::1", 5434))
    assert dsn.libpq()["host"] == "db1,db2,::1"
    assert dsn.libpq()["port"] == "5433,,5434"


@pytest.mark.parametrize(
    "query", ["host=db1:5433&host=db2:5434", "host=db1,db2&port=5433,5434", "host=db1,db2&port=5433%2C5434"]
)
def test_several_hosts_may_stand_in_the_query(query: str) -> None:
    assert Dsn.parse(f"postgresql:///orders?{query}").hosts == (("db1", 5433), ("db2", 5434))


def test_one_port_in_the_query_is_that_of_every_host() -> None:
    assert Dsn.parse("postgresql:///x?host=a,b&port=6432").hosts == (("a", 6432), ("b", 6432))


def test_of_several_hosts_only_a_writable_one_will_do() -> None:
    assert Dsn.parse("postgresql://a,b/x").libpq()["target_session_attrs"] == "read-write"
    assert "target_session_attrs" not in Dsn.parse("postgresql://a/x").libpq()
    chosen = Dsn.parse("postgresql://a,b/x?target_session_attrs=primary")
    assert chosen.libpq()["target_session_attrs"] == "primary"


@pytest.mark.parametrize("seconds", ["abc", "1.5", "5s", "٣"])
def test_a_timeout_that_is_no_number_is_refused(seconds: str) -> None:
    with pytest.raises(ValueError, match="connect_timeout"):
        Dsn.parse(f"postgresql://db/shop?connect_timeout={seconds}")


@pytest.mark.parametrize("seconds", ["", "0", "-1", "10", "+10"])
def test_a_timeout_that_is_a_number_is_libpqs(seconds: str) -> None:
    dsn = Dsn.parse(f"postgresql://db/shop?connect_timeout={seconds}")
    assert dsn.libpq().get("connect_timeout", "").strip() == seconds.strip("+")


def test_the_one_address_of_a_server_is_libpqs_alone() -> None:
    dsn = Dsn.parse("postgresql://a,b/x").at("b", 5432, "10.0.0.2")
    assert dsn.libpq() == {"host": "b", "port": "5432", "hostaddr": "10.0.0.2", "dbname": "x"}
    assert dsn.url("asyncpg") == "postgresql+asyncpg://b:5432/x"


def test_one_server_once_found_is_all_there_is() -> None:
    dsn = Dsn.parse("postgresql://u:p@a,b/x?target_session_attrs=primary&hostaddr=10.0.0.1&sslmode=require")
    assert dsn.at("b", 5432) == Dsn.parse("postgresql://u:p@b:5432/x?sslmode=require")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///orders?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/orders",
        "postgresql://?host=%2Fvar%2Frun%2Fpostgresql&dbname=orders",
    ],
)
def test_a_sockets_folder_is_a_host(url: str) -> None:
    dsn = Dsn.parse(url)
    assert dsn.libpq() == {"host": "/var/run/postgresql", "dbname": "orders"}
    assert dsn.url() == "postgresql:///orders?host=%2Fvar%2Frun%2Fpostgresql"


def test_an_ipv6_address_stands_in_brackets() -> None:
    dsn = Dsn.parse("postgresql://shop@[2001:db8::1]:5433/orders")
    assert dsn.hosts == (("2001:db8::1", 5433),)
    assert dsn.libpq()["host"] == "2001:db8::1"
    assert dsn.url() == "postgresql://shop@[2001:db8::1]:5433/orders"


def test_what_is_absent_is_left_to_libpq() -> None:
    assert Dsn.parse("postgresql://") == Dsn()
    assert Dsn().libpq() == {}


def test_libpq_gets_only_words_it_knows() -> None:
    dsn = Dsn.parse("postgresql://db/x?sslmode=require&prepared_statement_cache_size=0&options=-c%20a%3Db")
    assert dsn.libpq() == {"host": "db", "dbname": "x", "sslmode": "require", "options": "-c a=b"}


@pytest.mark.parametrize(
    ("ssl", "sslmode"), [("require", "require"), ("true", "require"), ("prefer", "prefer")]
)
def test_asyncpgs_word_for_tls_is_understood(ssl: str, sslmode: str) -> None:
    assert Dsn.parse(f"postgresql+asyncpg://db/x?ssl={ssl}").libpq()["sslmode"] == sslmode


def test_a_password_of_commas_is_a_password() -> None:
    assert Dsn.parse("postgresql://shop:,,@db/x").libpq()["password"] == ",,"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "not a URL"),
        ("hunter2", "not a URL"),
        ("postgresql:/db/x", "not a URL"),
        ("sqlite:///hunter2.db", "names 'sqlite'"),
        ("mysql+pymysql://u:hunter2@db/x", "names 'mysql'"),
        ("postgresql://u:hunter2@db:0/x", "port"),
        ("postgresql://u:hunter2@db:65536/x", "port"),
        ("postgresql://u:hunter2@db:http/x", "host"),
        ("postgresql://u:hunter2@a:b:c/x", "host"),
        ("postgresql:///x?host=a,b,c&port=1,2&password=hunter2", "number of hosts"),
    ],
)
def test_nonsense_is_refused_without_being_quoted(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        Dsn.parse(url)
    assert "hunter2" not in str(refusal.value)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
_PASSWORD = _TEXT | st.text("@:/?#%&+=,[]{}'\"\\$; \n0aA", min_size=1) | st.just(AWKWARD)
_HOST = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20})", fullmatch=True) | st.sampled_from(
    ["::1", "fe80::1", "10.0.0.1", "/var/run/postgresql", "/tmp/a b"]  # noqa: S108 - a name, not a file
)
_PORT = st.none() | st.integers(1, 65535)


@given(
    user=_TEXT | st.none(),
    password=_PASSWORD | st.none(),
    host=_HOST,
    port=_PORT,
    database=_TEXT | st.none(),
    options=_TEXT,
)
def test_an_address_survives_its_own_url(
    *,
    user: str | None,
    password: str | None,
    host: str,
    port: int | None,
    database: str | None,
    options: str,
) -> None:
    dsn = Dsn(
        user=user,
        password=Secret(password) if password else None,
        hosts=((host, port),),
        database=database,
        parameters=(("options", options),),
    )
    assert Dsn.parse(dsn.url()) == dsn


@given(password=_PASSWORD)
def test_a_password_reaches_libpq_as_it_is(password: str) -> None:
    url = Dsn(user="shop", password=Secret(password), hosts=(("db", 5432),), database="x").url()
    assert Dsn.parse(url).libpq()["password"] == password


@given(password=_TEXT)
def test_a_pasted_password_without_query_signs_is_taken_literally(password: str) -> None:
    assume(not set(password) & set("?%"))
    assert Dsn.parse(f"postgresql://shop:{password}@db:5432/x").libpq()["password"] == password
