"""Settings: everything is checked, every problem is said at once, nothing is guessed, no secret shows."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import SettingsInvalid
from migrator.settings import Dsn, Secret, Settings
from migrator.settings.definition import ROWS, Row
from migrator.settings.reader import Need, read_settings
from migrator.settings.report import problems_of
from migrator.settings.values import duration, lasting

URL = "postgresql://shop:hunter2@db:5432/shop"
ENOUGH = {"DATABASE_URL": URL}


def read(environ: Mapping[str, str], **flags: str) -> Settings:
    return read_settings(environ, flags)[0]


def problems(environ: Mapping[str, str], *, need: Need = Need.NOTHING, **flags: str) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as refusal:
        read_settings(environ, flags, need=need)
    return refusal.value.problems


def quick(row: Row, text: str) -> bool:
    try:
        row.parse(text)
    except ValueError:
        return False
    return True


def test_a_database_is_all_that_must_be_set() -> None:
    settings, warnings = read_settings(ENOUGH)
    assert settings == Settings(database_url=Dsn.parse(URL))
    assert settings.dsn is settings.database_url
    assert warnings == ()


def test_every_problem_is_said_at_once() -> None:
    said = problems(
        {
            "DATABASE_URL": "mysql://db/shop",
            "MIGRATOR_LOCK_TIMEOUT": "soon",
            "MIGRATOR_BACKUP": "sometimes",
            "MIGRATOR_LEDGER": "perhaps",
            "MIGRATOR_GROUPING": "region",
            "MIGRATOR_PUSHGATEWAY_URL_FILE": "/no/such/file",
            "MIGRATOR_LOG_LEVL": "info",
            "MIGRATOR_VERSION_TABLE_SCHEMA": "shop",
        },
        need=Need.POLICY,
    )
    named = [sentence.split(" ")[0].rstrip(":") for sentence in said]
    assert sorted(named) == [
        "DATABASE_URL",
        "MIGRATOR_BACKUP",
        "MIGRATOR_BACKUP_URL",
        "MIGRATOR_GROUPING",
        "MIGRATOR_LEDGER",
        "MIGRATOR_LOCK_TIMEOUT",
        "MIGRATOR_LOG_LEVL",
        "MIGRATOR_PUSHGATEWAY_URL_FILE",
        "MIGRATOR_VERSION_TABLE_SCHEMA",
    ]


def test_without_any_database_the_variable_is_named() -> None:
    assert problems({}) == ("DATABASE_URL is missing: set it, or libpq's PGHOST and PGDATABASE",)


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("MIGRATOR_LOCK_TIMEOT", "MIGRATOR_LOCK_TIMEOUT"),
        ("MIGRATOR_LOKC_TIMEOUT", "MIGRATOR_LOCK_TIMEOUT"),
        ("MIGRATOR_BACKUP_URLS", "MIGRATOR_BACKUP_URL"),
        ("MIGRATOR_BACKUP_URL_FIEL", "MIGRATOR_BACKUP_URL_FILE"),
        ("MIGRATOR_DATABASEURL", "MIGRATOR_DATABASE_URL"),
    ],
)
def test_a_name_within_two_edits_of_a_setting_is_a_typo(typo: str, meant: str) -> None:
    assert problems({**ENOUGH, typo: "1"}) == (f"{typo} is not a setting: was {meant} meant?",)


def test_another_unknown_name_is_a_warning() -> None:
    warnings = read_settings({**ENOUGH, "MIGRATOR_TELEPATHY": "on", "LOG_LEVL": "x"})[1]
    assert warnings == ("MIGRATOR_TELEPATHY is not a setting of this release of migrator and has no effect",)


@pytest.mark.parametrize(
    "name",
    [
        "MIGRATOR_SERVICE_HOST",
        "MIGRATOR_SERVICE_PORT",
        "MIGRATOR_SERVICE_PORT_HTTP",
        "MIGRATOR_PORT",
        "MIGRATOR_PORT_5432_TCP",
        "MIGRATOR_PORT_5432_TCP_PROTO",
        "MIGRATOR_PORT_5432_TCP_PORT",
        "MIGRATOR_PORT_5432_TCP_ADDR",
        "MIGRATOR_PG_SERVICE_HOST",
        "MIGRATOR_PG_PORT_5432_TCP_ADDR",
    ],
)
def test_what_kubernetes_injects_for_services_is_ignored(name: str) -> None:
    assert read_settings({**ENOUGH, name: "tcp://10.0.0.1:5432"}) == read_settings(ENOUGH)


def test_an_empty_variable_counts_as_absent() -> None:
    assert read({**ENOUGH, "MIGRATOR_LOCK_TIMEOUT": "", "MIGRATOR_BACKUP_URL_FILE": ""}) == read(ENOUGH)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"{URL}\n")
    assert read({"DATABASE_URL_FILE": str(file)}) == read(ENOUGH)


def test_a_variable_and_its_file_may_not_both_be_set(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(URL)
    said = problems({**ENOUGH, "DATABASE_URL_FILE": str(file)})
    assert said[0] == "DATABASE_URL and DATABASE_URL_FILE are both set: keep one"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b" \n", "which is empty"),
        (b"\xff\xfe", "which cannot be read: not UTF-8 text"),
        (None, "No such file"),
    ],
)
def test_a_file_that_holds_nothing_readable_is_a_problem(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    (said,) = problems({"DATABASE_URL_FILE": str(file)})
    assert said.startswith(f"DATABASE_URL_FILE names {file}, ")
    assert reason in said


def test_a_setting_without_secrets_has_no_file_variant() -> None:
    settings, warnings = read_settings({**ENOUGH, "MIGRATOR_APP_FILE": "/run/secrets/app"})
    assert settings.app == "app"
    assert warnings[0].startswith("MIGRATOR_APP_FILE is not a setting")


def test_bytes_that_are_not_utf_8_are_a_problem() -> None:
    assert problems({**ENOUGH, "MIGRATOR_APP": "caf\udce9"}) == ("MIGRATOR_APP is not UTF-8 text",)


def test_a_flag_wins_over_a_variable() -> None:
    environ = {**ENOUGH, "MIGRATOR_LOCK_TIMEOUT": "nonsense", "MIGRATOR_APP": "shop"}
    settings = read(environ, lock_timeout="2s", database_url="postgresql://db/other")
    assert settings.lock_timeout == timedelta(seconds=2)
    assert settings.dsn.database == "other"
    assert settings.app == "shop"


def test_a_wrong_flag_is_named_as_a_flag() -> None:
    assert problems(ENOUGH, lock_timeout="soon") == (
        "--lock-timeout: 'soon' is not a duration such as 90, 90s, 5m, 1h or 500ms",
    )


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "postgresql://shop:a/b?c@db/shop",
        "postgresql://:hunter2@db/shop",
        "postgresql://db/shop?user=shop&password=hunter2",
    ],
)
def test_a_flag_with_a_password_is_refused_without_repeating_it(url: str) -> None:
    said = problems({}, database_url=url)
    assert said[0] == (
        "--database-url carries a password, which every user of the machine could read in the process list: "
        "use MIGRATOR_DATABASE_URL or MIGRATOR_DATABASE_URL_FILE"
    )
    assert "hunter2" not in " ".join(said)


def test_a_flag_without_a_password_is_taken() -> None:
    assert read({}, database_url="postgresql://shop@db:5432/shop?sslmode=require").dsn.user == "shop"


def test_the_url_made_for_migrator_wins() -> None:
    settings = read({**ENOUGH, "MIGRATOR_DATABASE_URL": "postgresql://db/mine"})
    assert settings.dsn.database == "mine"


def test_the_direct_url_is_the_one_that_is_used() -> None:
    settings = read({**ENOUGH, "MIGRATOR_DIRECT_DATABASE_URL": "postgresql://direct/shop"})
    assert settings.dsn.hosts == (("direct", None),)
    assert settings.database_url == Dsn.parse(URL)


def test_libpqs_variables_stand_in_for_a_url() -> None:
    settings = read({"PGHOST": "db1,db2", "PGPORT": "5433", "PGUSER": "shop", "PGPASSWORD": "hunter2"})
    assert settings.dsn == Dsn(user="shop", password=Secret("hunter2"), hosts=(("db1", 5433), ("db2", 5433)))


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"])
def test_each_of_libpqs_variables_that_names_a_place_is_enough(name: str) -> None:
    assert read({name: "somewhere"}).database_url is not None


def test_libpqs_variables_that_do_not_fit_one_another_are_a_problem() -> None:
    assert problems({"PGHOST": "a,b,c", "PGPORT": "1,2"}) == (
        "PGHOST/PGPORT: names a different number of hosts and ports",
    )


def test_a_url_wins_over_libpqs_variables() -> None:
    assert read({**ENOUGH, "PGHOST": "elsewhere", "PGPORT": "nonsense"}) == read(ENOUGH)


def test_a_deploy_asks_where_backups_go_unless_they_are_off() -> None:
    (said,) = problems(ENOUGH, need=Need.POLICY)
    assert said.startswith("MIGRATOR_BACKUP_URL is missing")
    assert "MIGRATOR_BACKUP=off" in said
    assert read_settings({**ENOUGH, "MIGRATOR_BACKUP": "off"}, need=Need.POLICY)[0].backup == "off"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (" 2 M ", 120),
        ("2d", 172800),
        ("0", 0),
        ("24d", 24 * 86400),
    ],
)
def test_a_duration_is_a_number_with_a_unit_or_seconds(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "-1", "1w", "1h30m", "1e3", "inf", "25d", "9" * 400, "1,5s"])
def test_another_text_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|24 days"):
        duration(text)


def test_a_deadline_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 0"):
        lasting("0s")


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1,b=2", (("a", "1"), ("b", "2"))),
        (" a = 1 ,", (("a", " 1"),)),
        ('["a=1,2", "b="]', (("a", "1,2"), ("b", ""))),
    ],
)
def test_arguments_for_env_py_are_pairs_or_a_json_list_of_them(
    text: str, pairs: tuple[tuple[str, str], ...]
) -> None:
    assert read({**ENOUGH, "MIGRATOR_ALEMBIC_X": text}).alembic_x == pairs


@pytest.mark.parametrize("text", ["a", "=1", "[1]", "[", '{"a": 1}', "[" * 100_000])
def test_other_arguments_for_env_py_are_a_problem(text: str) -> None:
    assert problems({**ENOUGH, "MIGRATOR_ALEMBIC_X": text})[0].startswith("MIGRATOR_ALEMBIC_X: ")


def test_the_release_is_taken_from_the_platform() -> None:
    assert read({**ENOUGH, "RAILWAY_GIT_COMMIT_SHA": "abc", "GIT_COMMIT": "def"}).release == "abc"
    assert read({**ENOUGH, "MIGRATOR_RELEASE": "1.2", "GIT_COMMIT": "def"}).release == "1.2"
    assert read(ENOUGH).release == "unknown"


def test_no_secret_shows_in_a_repr_or_a_text() -> None:
    settings = read(
        {
            "DATABASE_URL": "postgresql://shop:hunter2@db/shop?sslpassword=hunter2",
            "MIGRATOR_DIRECT_DATABASE_URL": "postgresql://shop:hunter2@direct/shop",
            "MIGRATOR_PUSHGATEWAY_URL": "https://me:hunter2@gateway",
            "MIGRATOR_BACKUP_URL": "file:///hunter2",
        }
    )
    shown = f"{settings!r} {settings} {settings.dsn!r} {settings.dsn} {settings.dsn.password}"
    assert "hunter2" not in shown
    assert settings.dsn.password is not None
    assert settings.dsn.password.reveal() == "hunter2"


def test_a_problem_with_a_secret_does_not_repeat_it() -> None:
    said = problems(
        {
            "DATABASE_URL": "hunter2",
            "MIGRATOR_DIRECT_DATABASE_URL": "postgresql://shop:hunter2@db:99999/shop",
            "MIGRATOR_PUSHGATEWAY_URL": "ftp://hunter2",
            "MIGRATOR_BACKUP_URL": "hunter2",
        }
    )
    assert len(said) == 4
    assert "hunter2" not in " ".join(said)


_URLS = st.sampled_from(
    [
        URL,
        "postgres://a:b@[::1]:5433/db?sslmode=require",
        "postgresql+asyncpg://h1,h2/db",
        "mysql://h/db",
        "postgresql://h:0/db",
        "http://gateway:9091",
        "https://",
        "file:///backups",
        "file://backups",
    ]
)
_WORDS = st.sampled_from(sorted({word for row in ROWS for word in row.default.replace("`", "").split()}))
_PAIRS = st.sampled_from(["a=1", "a=1,b", '["a=b"]', "__a=1", "9=1", "on", "off", "yes", "allow-unproven"])
_TEXTS = st.one_of(st.text(), _URLS, _WORDS, _PAIRS, st.from_regex(r"\d{1,9}(ms|s|m|h|d|w)?"))


@given(row=st.sampled_from(ROWS), text=_TEXTS)
def test_the_quick_reader_and_the_pydantic_model_accept_the_same(row: Row, text: str) -> None:
    said = problems_of({row.field: (row.names[0], text)})
    assert quick(row, text) == (said == ())
    assert all(sentence.startswith(f"{row.names[0]}: ") for sentence in said)
