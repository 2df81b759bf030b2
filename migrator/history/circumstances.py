"""The circumstances of a try: all that decides how it ends, but the version rows."""

from dataclasses import fields

from migrator.history.release import Release
from migrator.settings import Settings

# Settings that change how long we wait and what is said, but not how a revision fares. Whatever else is set
# counts, so that nobody who corrected a setting has to wait; secrets do not.
_INDIFFERENT = frozenset(
    """
    app deadline gate_timeout grouping leader_timeout ledger lock_patience log_format log_level
    remember_failure termination_log wait_timeout
    """.split()
)


def circumstances(release: Release, settings: Settings, digest: str) -> str:
    """A sha256 in hex: the revisions' `digest`, `env.py`, its arguments, targets, settings, the role."""
    import hashlib  # noqa: PLC0415 - only needed when something is pending

    told = [digest, release.history, *sorted(release.targets)]
    told += [
        f"{one.name}={getattr(settings, one.name)}"
        for one in fields(settings)
        if one.name not in _INDIFFERENT and not one.metadata["secret"]
    ]
    told.append(f"user={settings.dsn.user}")
    return hashlib.sha256("\0".join(told).encode(errors="surrogatepass")).hexdigest()
