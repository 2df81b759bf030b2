"""Who we are to an object store, by the variables that everything of AWS's reads, or files they name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from migrator.settings.destination import Bucket, endpoint
from migrator.settings.values import Secret
from migrator.settings.variables import text_of

# Each means that the platform itself tells the store's client who we are.
# Source: AWS SDKs and Tools, "Container credential provider" and "Assume role credential provider".
_IDENTITIES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


@dataclass(frozen=True, slots=True)
class Access:
    """Keys, and where the bucket is; without keys, the platform says who we are."""

    key_id: Secret | None
    secret_key: Secret | None
    session_token: Secret | None
    region: str | None
    endpoint: str | None
    ca_bundle: str | None

    @classmethod
    def from_variables(cls, environ: Mapping[str, str], bucket: Bucket) -> Self:
        """Read what belongs to this bucket; what its URL says wins.

        Raises `ValueError` with a whole sentence.
        """

        def read(*names: str) -> str | None:
            found = text_of(names, environ, may_be_file=True)
            return found[1].strip() if found else None

        address = bucket.endpoint or read("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        try:
            address = endpoint(address) if address else None
        except ValueError as error:
            raise ValueError(f"AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL {error}") from None
        found = cls(
            _secret(read("AWS_ACCESS_KEY_ID")),
            _secret(read("AWS_SECRET_ACCESS_KEY")),
            _secret(read("AWS_SESSION_TOKEN")),
            region=bucket.region or read("AWS_REGION", "AWS_DEFAULT_REGION"),
            endpoint=address,
            ca_bundle=environ.get("AWS_CA_BUNDLE"),
        )
        found._refuse_half(environ, bucket)
        return found

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nobody may see."""
        return tuple(one.reveal() for one in (self.secret_key, self.session_token) if one is not None)

    def _refuse_half(self, environ: Mapping[str, str], bucket: Bucket) -> None:
        if (self.key_id is None) != (self.secret_key is None):
            missing = "AWS_SECRET_ACCESS_KEY" if self.secret_key is None else "AWS_ACCESS_KEY_ID"
            raise ValueError(f"{missing} is missing: the keys of the backups' bucket come as a pair")
        identity = bucket.instance_role or any(environ.get(name) for name in _IDENTITIES)
        if self.key_id is None and not identity:
            raise ValueError(
                "AWS_ACCESS_KEY_ID is missing: the backups' bucket needs AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY (or …_FILE), a service account's role, or instance_role=on in its URL"
            )


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text else None
