"""What an object store's refusal means: a person must act (13), or time may cure it (33)."""

import contextlib
import re
from collections.abc import Iterator

from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError

from migrator.errors import BackupFailed, MigratorError, PolicyRefused

_CODE = re.compile(r"<Code>(\w[\w.]*)</Code>")
_STATUS = re.compile(r"status code: (\d{3}[ \w]*)")
_CAUSE = re.compile(r'(?:message|error): "([^"\n]{1,200})"')
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)")
_METADATA = re.compile(r"/latest/(?:api/token|meta-data)")

_KEYS = "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN)"
_REGION = "set AWS_REGION, or region=… in MIGRATOR_BACKUP_URL, to where the bucket is"
_ENCRYPTION = "correct sse and sse_kms_key_id in MIGRATOR_BACKUP_URL, or allow the role to use that key"
_GRANT = (
    "grant s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects"
)
# Source: Amazon S3 API, "List of error codes".
_REFUSALS = {
    "AccessDenied": ("the keys may not do that", _GRANT),
    "AllAccessDisabled": ("the bucket is closed to everybody", _GRANT),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", _REGION),
    "ExpiredToken": ("the session token has expired", _KEYS),
    "IllegalLocationConstraintException": ("the bucket is in another region", _REGION),
    "InvalidAccessKeyId": ("the access key is not known there", _KEYS),
    "InvalidBucketName": ("the bucket's name is not valid", "correct MIGRATOR_BACKUP_URL"),
    "InvalidToken": ("the session token is not valid", _KEYS),
    "NoSuchBucket": ("there is no such bucket", "create the bucket, or correct MIGRATOR_BACKUP_URL"),
    "PermanentRedirect": ("the bucket is in another region", _REGION),
    "RequestTimeTooSkewed": ("the clocks differ by too much", "set this machine's clock"),
    "SignatureDoesNotMatch": ("the secret key is wrong", _KEYS),
}


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what obstore raises into ours; `what` is the half of a sentence that says what was being done."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _ours(what, error) from error


def is_absent(error: OSError) -> bool:
    """Whether only the object is not there; without its bucket nothing else is right either."""
    return isinstance(error, FileNotFoundError) and _code(error) in {None, "NoSuchKey", "NotFound"}


def does_not_know_conditions(error: BaseError) -> bool:
    """Whether the server said that it cannot create an object only if there is none."""
    return _code(error) == "NotImplemented" or "status code: 501" in str(error)


def _ours(what: str, error: BaseError | OSError) -> MigratorError:
    if refusal := _refusal(error):
        return PolicyRefused(f"{what}: {refusal[0]}", remedy=refusal[1])
    return BackupFailed(f"{what}: {_reason(error)}")


def _refusal(error: BaseError | OSError) -> tuple[str, str] | None:
    """Why time will not cure it, and what will."""
    code = _code(error)
    if code in _REFUSALS:
        reason, remedy = _REFUSALS[code]
        return f"{reason} ({code})", remedy
    if code is not None and code.startswith("KMS."):
        return f"the encryption key cannot be used ({code})", _ENCRYPTION
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return "the keys may not do that", f"{_KEYS}, or {_GRANT}"
    return _refusal_of_the_connection(str(error))


def _refusal_of_the_connection(text: str) -> tuple[str, str] | None:
    if untrusted := _CERTIFICATE.search(text):
        remedy = "name the authority's certificate by AWS_CA_BUNDLE or SSL_CERT_FILE"
        return f"the server's certificate is not trusted ({untrusted[1]})", remedy
    if _METADATA.search(text):
        return "this machine has no role of its own", _KEYS
    return None


def _reason(error: BaseError | OSError) -> str:
    if isinstance(error, AlreadyExistsError):
        return "there is an object of that name already"
    if isinstance(error, FileNotFoundError):
        return "there is no such object"
    return _account(str(error))


def _account(text: str) -> str:
    """The shortest true words in obstore's account of it, of which the rest is for its developers."""
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return f"the server said {status[1].strip()}{f' ({code[1]})' if code else ''}"
    if "kind: Timeout" in text or "TimedOut" in text:
        return "the server did not answer in time"
    if cause := _CAUSE.search(text):
        return f"the server could not be reached: {cause[1]}"
    return "the server could not be reached" if "kind: Connect" in text else "the connection broke"


def _code(error: BaseError | OSError) -> str | None:
    found = _CODE.search(str(error))
    return found[1] if found else None
