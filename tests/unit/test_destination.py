"""Where backups go, and with whose keys, as URL and variables say it."""

from datetime import timedelta
from pathlib import Path

import pytest

from migrator.settings import Access, Bucket, Folder, parse_destination
from migrator.settings.reader import read_settings

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA0000000000000000", "AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}
PLAIN = Bucket(name="backups")


def test_a_folder_is_absolute_and_unquoted() -> None:
    assert parse_destination("file:///my%20backups") == Folder(Path("/my backups"))


@pytest.mark.parametrize("url", ["s3://backups", "s3://backups/", "s3://backups//"])
def test_a_bucket_needs_no_prefix(url: str) -> None:
    assert parse_destination(url) == PLAIN


def test_a_bucket_has_options() -> None:
    url = (
        "s3://backups/shop/prod/?endpoint=https://minio:9000/&region=eu-central-1&path_style=off"
        "&sse=AWS:KMS&sse_kms_key_id=alias/backups&instance_role=on&timeout=5s"
    )
    assert parse_destination(url) == Bucket(
        name="backups",
        prefix="shop/prod",
        endpoint="https://minio:9000",
        region="eu-central-1",
        path_style=False,
        sse="aws:kms",
        sse_kms_key_id="alias/backups",
        instance_role=True,
        timeout=timedelta(seconds=5),
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file://backups", "must be file:///an/absolute/folder or s3://bucket/prefix"),
        ("gs://backups", "must be file:///"),
        ("s3:///prefix", "must name a bucket"),
        ("s3://AKIA:hunter2@backups", "must not carry keys"),
        ("s3://AKIA:hunter2/hunter#2@backups", "must not carry keys"),
        ("s3://backups/a//b", "a prefix that cannot be part"),
        ("s3://backups/../b", "a prefix that cannot be part"),
        ("s3://backups/a#b", "has a '#'"),
        ("s3://backups?regoin=x", "has an unknown option 'regoin'; there are endpoint, region"),
        ("s3://backups?region=a&region=b", "has the option region twice"),
        ("s3://backups?region=", "has an option region that is empty"),
        ("s3://backups?path_style=perhaps", "has an option path_style that .* is neither on nor off"),
        ("s3://backups?endpoint=minio:9000", "has an option endpoint that is not an http"),
        ("s3://backups?endpoint=http://me:hunter2@minio", "has an option endpoint that is not an http"),
        ("s3://backups?sse=rot13", "has an option sse that .* is not one of aes256, aws:kms"),
        ("s3://backups?sse=AES256&sse_kms_key_id=x", "sse_kms_key_id without sse=aws:kms"),
        ("s3://[", "is not a URL"),
    ],
)
def test_nonsense_is_refused_without_repeating_a_key(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refusal:
        parse_destination(url)
    assert "hunter2" not in str(refusal.value)


def test_keys_region_and_endpoint_come_by_the_usual_variables() -> None:
    access = Access.from_variables(
        {
            **KEYS,
            "AWS_SESSION_TOKEN": "token-token",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": "http://elsewhere",
            "AWS_ENDPOINT_URL_S3": "http://minio:9000/",
        },
        PLAIN,
    )
    assert (access.region, access.endpoint) == ("eu-west-1", "http://minio:9000")
    assert access.secrets == ("hunter2hunter2", "token-token")
    assert "hunter2" not in repr(access)


def test_the_url_wins_over_the_variables() -> None:
    bucket = Bucket(name="backups", region="eu-north-1", endpoint="https://minio")
    environ = {**KEYS, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://elsewhere"}
    access = Access.from_variables(environ, bucket)
    assert (access.region, access.endpoint) == ("eu-north-1", "https://minio")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "AWS_ACCESS_KEY_ID is missing"),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_SECRET_ACCESS_KEY is missing: .* come as a pair"),
        ({"AWS_SECRET_ACCESS_KEY": "hunter2"}, "AWS_ACCESS_KEY_ID is missing: .* come as a pair"),
        ({**KEYS, "AWS_ENDPOINT_URL": "minio:9000"}, "AWS_ENDPOINT_URL is not an http"),
        (
            {**KEYS, "AWS_SESSION_TOKEN_FILE": "/no/such"},
            "AWS_SESSION_TOKEN_FILE names /no/such, which cannot",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        Access.from_variables(environ, PLAIN)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ],
)
def test_a_platform_that_says_who_we_are_needs_no_keys(name: str) -> None:
    assert Access.from_variables({name: "/somewhere"}, PLAIN).key_id is None


def test_a_machines_role_is_used_only_where_the_url_asks_for_it() -> None:
    assert Access.from_variables({}, Bucket(name="backups", instance_role=True)).key_id is None


def test_a_command_that_backs_nothing_up_needs_no_keys() -> None:
    environ = {"DATABASE_URL": "postgresql://db/shop", "MIGRATOR_BACKUP_URL": "s3://backups"}
    settings, _ = read_settings(environ)
    assert settings.backup_url is not None
