"""Client programs that misbehave: shell scripts in the place of `pg_dump`."""

from pathlib import Path

from migrator.demo.cluster import Binaries

_PG_DUMP = """\
#!/bin/sh
real={real}/pg_dump
case "$*" in
    --version|*/nonexistent*) exec "$real" "$@" ;;
esac
{body}
"""


def fake_pg_dump(folder: Path, binaries: Binaries, body: str) -> str:
    """Make a folder of client programs whose `pg_dump` does this instead; `$real` is the real one."""
    folder.mkdir()
    (folder / "pg_restore").symlink_to(binaries.folder / "pg_restore")
    script = folder / "pg_dump"
    script.write_text(_PG_DUMP.format(real=binaries.folder, body=body))
    script.chmod(0o755)
    return str(folder)
