"""Diagnosis of the environment: each variable that is wrong, and the remedy pasted into a shell."""

from pathlib import Path

import pytest

from tests.support.diagnosed import diagnose, pasted
from tests.support.runner import Migrator
from tests.support.target import Target


def _again(migrator: Migrator, remedy: str, section: str, **broken: str | None) -> str:
    """The verdict after the remedy was pasted."""
    environ = {**migrator.environ, **{name: value for name, value in broken.items() if value is not None}}
    for name in [name for name, value in broken.items() if value is None]:
        del environ[name]
    cured = pasted(remedy, environ)
    gone = {name: None for name in (*migrator.environ, *broken) if name not in cured}
    return diagnose(migrator, section, **{**cured, **gone}).verdict(section)


def test_a_misspelt_setting(migrator: Migrator) -> None:
    broken = {"MIGRATOR_LOCK_TIMEUOT": "3s"}
    finding = diagnose(migrator, "environment.settings", **broken).of("environment.settings")
    assert finding["verdict"] == "fail"
    assert "was MIGRATOR_LOCK_TIMEOUT meant?" in finding["seen"]
    assert _again(migrator, finding["remedy"], "environment.settings", **broken) == "pass"


def test_a_value_and_a_file_of_it(migrator: Migrator, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(migrator.environ["DATABASE_URL"])
    broken = {"DATABASE_URL_FILE": str(tmp_path / "url")}
    finding = diagnose(migrator, "environment.settings", **broken).all_of("environment.settings")[0]
    assert finding["verdict"] == "fail"
    assert finding["remedy"] == "unset DATABASE_URL"
    assert _again(migrator, finding["remedy"], "environment.settings", **broken) == "pass"


@pytest.mark.parametrize("name", ["DATABSE_URL", "DATABASE_URI", "POSTGRES_URL"])
def test_a_misspelt_address(migrator: Migrator, name: str) -> None:
    broken = {name: migrator.environ["DATABASE_URL"], "DATABASE_URL": None}
    finding = diagnose(migrator, "environment.spelling", **broken).all_of("environment.spelling")[0]
    assert (finding["verdict"], finding["variable"]) == ("warn", name)
    assert "DATABASE_URL" in finding["remedy"]
    assert _again(migrator, finding["remedy"], "environment.spelling", **broken) == "pass"
    assert _again(migrator, finding["remedy"], "environment.address", **broken) == "pass"


def test_a_variable_set_to_nothing(migrator: Migrator) -> None:
    broken = {"MIGRATOR_ROLE": "", "PGPASSWORD": ""}
    finding = diagnose(migrator, "environment.empty", **broken).of("environment.empty")
    assert (finding["verdict"], finding["variables"]) == ("warn", ["MIGRATOR_ROLE", "PGPASSWORD"])
    assert _again(migrator, finding["remedy"], "environment.empty", **broken) == "pass"


def test_a_reference_that_the_platform_did_not_fill_in(migrator: Migrator) -> None:
    found = diagnose(migrator, "environment.references", DATABASE_URL="${{Postgres.DATABASE_URL}}")
    finding = found.of("environment.references")
    assert (finding["verdict"], finding["variables"]) == ("fail", ["DATABASE_URL"])
    assert "service" in finding["remedy"]


def test_a_file_that_does_not_exist(migrator: Migrator, tmp_path: Path) -> None:
    file = tmp_path / "mounted" / "url"
    finding = diagnose(migrator, "environment.files", DATABASE_URL=None, DATABASE_URL_FILE=str(file)).of(
        "environment.files"
    )
    assert finding["verdict"] == "fail"
    assert str(file) in finding["seen"]
    assert finding["remedy"] == f"ls -la {file} $(dirname {file})"
    file.parent.mkdir()
    file.write_text(migrator.environ["DATABASE_URL"])
    cured = diagnose(migrator, "environment.files", DATABASE_URL=None, DATABASE_URL_FILE=str(file))
    assert cured.of("environment.files")["variables"] == ["DATABASE_URL_FILE"]


def test_which_address_wins_is_told_without_its_password(migrator: Migrator, target: Target) -> None:
    url = f"{target.url}?sslmode=disable"
    found = diagnose(migrator, "environment.address", MIGRATOR_DATABASE_URL=url, PGUSER=target.user)
    finding = found.of("environment.address")
    where = f"{target.host}:{target.port}/{target.database}?sslmode=disable"
    assert finding["seen"] == (
        f"postgresql://{target.user}:***@{where}, by MIGRATOR_DATABASE_URL "
        "(it wins over DATABASE_URL, PGUSER)"
    )
    assert finding["source"] == "MIGRATOR_DATABASE_URL"


def test_variables_that_contradict_each_other(migrator: Migrator, target: Target) -> None:
    broken = {"PGDATABASE": "other", "PGHOST": target.host}
    finding = diagnose(migrator, "environment.contradictions", **broken).of("environment.contradictions")
    assert finding["verdict"] == "warn"
    assert finding["seen"] == "DATABASE_URL and PGHOST PGDATABASE name another database"
    assert _again(migrator, finding["remedy"], "environment.contradictions", **broken) == "pass"


def test_the_way_around_a_pooler_is_no_contradiction(migrator: Migrator, target: Target) -> None:
    around = target.at("127.0.0.2", target.port).url
    section = "environment.contradictions"
    assert diagnose(migrator, section, MIGRATOR_DIRECT_DATABASE_URL=around).verdict(section) == "pass"
    assert diagnose(migrator, section, MIGRATOR_DATABASE_URL=around).verdict(section) == "warn"


@pytest.mark.parametrize(
    ("variable", "name"), [("RAILWAY_PROJECT_ID", "Railway"), ("KUBERNETES_SERVICE_HOST", "Kubernetes")]
)
def test_the_platform_is_recognised(migrator: Migrator, variable: str, name: str) -> None:
    found = diagnose(migrator, "environment.platform", **{variable: "10.0.0.1"})
    assert found.of("environment.platform")["platform"] == name
