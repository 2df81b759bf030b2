"""Where backups go, as `MIGRATOR_BACKUP_URL` says it: a folder, or a bucket of an S3-compatible store."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from migrator.settings.values import choice, lasting, switch

# Source: Amazon S3, "Bucket naming rules", with the capitals and underscores of older buckets.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_ENDPOINT = re.compile(r"https?://[^/@\s?#]+(/[^@\s?#]*)?")
_OPTIONS = ("endpoint", "region", "path_style", "sse", "sse_kms_key_id", "instance_role", "timeout")
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")


@dataclass(frozen=True, slots=True)
class Folder:
    """`file:///folder`."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """`s3://bucket/prefix?option=value`; what is None was left to the environment or to a default."""

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    sse: str | None = None  # server-side encryption
    sse_kms_key_id: str | None = None
    instance_role: bool = False  # whether the machine may be asked who it is
    timeout: timedelta | None = None  # of one request


def parse_destination(raw: str) -> Folder | Bucket:
    """Read the URL; raises `ValueError` with half a sentence that does not repeat it."""
    try:
        url = urlsplit(raw)
    except ValueError:
        raise ValueError("is not a URL") from None
    if url.scheme == "file" and raw.startswith("file:///"):
        return Folder(Path(unquote(url.path)))
    if url.scheme == "s3":
        return _bucket(url)
    raise ValueError("must be file:///an/absolute/folder or s3://bucket/prefix")


def _bucket(url: SplitResult) -> Bucket:
    if {"@", ":"} & set(url.netloc):
        raise ValueError("must not carry keys: give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not _BUCKET.fullmatch(url.netloc):
        raise ValueError("must name a bucket: s3://bucket/prefix")
    prefix = unquote(url.path).strip("/")
    if any(part in {"", ".", ".."} for part in prefix.split("/") if prefix) or not prefix.isprintable():
        raise ValueError("has a prefix that cannot be part of an object's name")
    if url.fragment:
        raise ValueError("has a '#', which cannot be part of an object's name")
    return Bucket(name=url.netloc, prefix=prefix, **_options(url.query))  # type: ignore[arg-type]


def _options(query: str) -> Mapping[str, object]:
    given = parse_qsl(query, keep_blank_values=True)
    if unknown := sorted({name for name, _ in given} - set(_OPTIONS)):
        raise ValueError(f"has an unknown option {unknown[0]!r}; there are {', '.join(_OPTIONS)}")
    found: dict[str, object] = {}
    for name, value in given:
        if name in found:
            raise ValueError(f"has the option {name} twice")
        try:
            found[name] = _PARSERS.get(name, _word)(value)
        except ValueError as error:
            raise ValueError(f"has an option {name} that {error}") from None
    if "sse_kms_key_id" in found and not str(found.get("sse", "")).startswith("aws:"):
        raise ValueError("has an option sse_kms_key_id without sse=aws:kms")
    return found


def _word(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("is empty")
    return value.strip()


def endpoint(value: str) -> str:
    """The address of a store's interface, without its last slash."""
    if not _ENDPOINT.fullmatch(value.strip()):
        raise ValueError("is not an http:// or https:// URL without a password")
    return value.strip().rstrip("/")


def _encryption(value: str) -> str:
    by_word = {one.lower(): one for one in _ENCRYPTIONS}
    return by_word[choice(*by_word)(value)]


_PARSERS = {
    "endpoint": endpoint,
    "path_style": switch,
    "sse": _encryption,
    "instance_role": switch,
    "timeout": lasting,
}
