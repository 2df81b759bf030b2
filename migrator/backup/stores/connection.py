"""The client of an S3-compatible store: addresses, keys and patience, all of them said."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import S3Store

from migrator.backup.stores.parts import MEBI, Parts
from migrator.errors import PolicyRefused
from migrator.settings import Access, Bucket

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_CONNECT = timedelta(seconds=5)
# Twice this is what a server that never answers costs a run before its backup begins.
_ASK = timedelta(seconds=8)
_RETRY_FOR = timedelta(seconds=10)
_SEND_AT_LEAST = timedelta(seconds=60)
_SLOWEST_BYTES_PER_SECOND = MEBI // 2
# Of a download only silence is limited, not how long it takes.
_SILENCE = timedelta(seconds=30)
_READ_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Connection:
    """Makes clients of one bucket: each kind of request has a patience of its own."""

    bucket: Bucket
    access: Access

    def asking(self) -> S3Store:
        """For small requests and small objects."""
        return self._client(timeout=self.bucket.timeout or _ASK, retries=2)

    def sending(self, parts: Parts) -> S3Store:
        """For parts."""
        return self._client(timeout=self._for_a_part(parts), retries=5)

    def patience(self, parts: Parts) -> timedelta:
        """For how long a store may take nothing: a part's time, with what is tried again."""
        return self._for_a_part(parts) + _RETRY_FOR

    def reading(self) -> S3Store:
        """For objects of any size."""
        return self._client(timeout=_READ_FOR, silence=self.bucket.timeout or _SILENCE, retries=5)

    def _for_a_part(self, parts: Parts) -> timedelta:
        """All that travel at once may share a slow line."""
        slowest = timedelta(seconds=parts.size_bytes * parts.at_once / _SLOWEST_BYTES_PER_SECOND)
        return self.bucket.timeout or max(slowest, _SEND_AT_LEAST)

    def _client(self, *, timeout: timedelta, retries: int, silence: timedelta | None = None) -> S3Store:
        options: ClientConfig = {
            "allow_http": (self.access.endpoint or "").startswith("http://"),
            "connect_timeout": min(_CONNECT, timeout),
            "timeout": timeout,
        }
        if silence is not None:
            options["read_timeout"] = silence
        if self.access.ca_bundle:
            options["root_certificate"] = _content(self.access.ca_bundle)
        retry: RetryConfig = {"max_retries": retries, "retry_timeout": _RETRY_FOR}
        try:
            return S3Store(
                self.bucket.name, config=self._config(), client_options=options, retry_config=retry
            )
        except (BaseError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise PolicyRefused(
                f"the backups' bucket cannot be used: {reason}", remedy="correct MIGRATOR_BACKUP_URL"
            ) from error

    def _config(self) -> "S3Config":
        access, bucket = self.access, self.bucket
        # A bucket with a dot has no certificate as a host name.
        by_path = bucket.path_style
        if by_path is None:
            by_path = access.endpoint is not None or "." in bucket.name
        config: S3Config = {
            "region": access.region or "us-east-1",
            "virtual_hosted_style_request": not by_path,
            # Not every server has the request that deletes many.
            "disable_bulk_delete": True,
        }
        if access.endpoint is not None:
            address = access.endpoint if by_path else _within(bucket.name, access.endpoint)
            config |= {"endpoint": address, "aws_endpoint_url_s3": address}
        if access.key_id is not None and access.secret_key is not None:
            config |= {
                "access_key_id": access.key_id.reveal(),
                "secret_access_key": access.secret_key.reveal(),
            }
        if access.session_token is not None:
            config["session_token"] = access.session_token.reveal()
        if bucket.sse is not None:
            config["server_side_encryption"] = bucket.sse
        if bucket.sse_kms_key_id is not None:
            config["sse_kms_key_id"] = bucket.sse_kms_key_id
        return config


def _within(bucket: str, address: str) -> str:
    """The address with the bucket in its host name."""
    url = urlsplit(address)
    return url._replace(netloc=f"{bucket}.{url.netloc}").geturl()


def _content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise PolicyRefused(
            f"the certificates in {file} cannot be read: {error.strerror}",
            remedy="correct AWS_CA_BUNDLE",
        ) from error
