"""An Alembic project as `alembic init` makes it, in a temporary folder."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import EllipsisType
from typing import Final

# Alembic's own templates, without their comments. The placeholder URL belongs there: nobody edits it for us.
INI: Final = """\
[alembic]
script_location = migrations
prepend_sys_path = .
sqlalchemy.url = driver://user:pass@localhost/dbname

[loggers]
keys = root,sqlalchemy,alembic

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console
qualname =

[logger_sqlalchemy]
level = WARNING
handlers =
qualname = sqlalchemy.engine

[logger_alembic]
level = INFO
handlers =
qualname = alembic

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(levelname)-5.5s [%(name)s] %(message)s
datefmt = %H:%M:%S
"""

ENV: Final = '''\
from logging.config import fileConfig

from sqlalchemy import engine_from_config
from sqlalchemy import pool

from alembic import context

config = context.config

if config.config_file_name is not None:
    fileConfig(config.config_file_name)

target_metadata = None


def run_migrations_offline() -> None:
    """Run migrations in 'offline' mode."""
    url = config.get_main_option("sqlalchemy.url")
    context.configure(
        url=url,
        target_metadata=target_metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )

    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """Run migrations in 'online' mode."""
    connectable = engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )

    with connectable.connect() as connection:
        context.configure(
            connection=connection, target_metadata=target_metadata
        )

        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
'''

_REVISION: Final = '''\
"""{doc}

Revision ID: {id}
"""
from typing import Sequence, Union

from alembic import op
import sqlalchemy as sa
{header}

# revision identifiers, used by Alembic.
revision: str = {id!r}
down_revision: Union[str, Sequence[str], None] = {down!r}
branch_labels: Union[str, Sequence[str], None] = {labels!r}
depends_on: Union[str, Sequence[str], None] = {depends_on!r}


def upgrade() -> None:
    """Upgrade schema."""
{upgrade}


def downgrade() -> None:
    """Downgrade schema."""
{downgrade}
'''

Names = str | Sequence[str] | None


@dataclass(slots=True)
class Project:
    """A project's folder, whose revisions are appended one after the other unless told otherwise."""

    folder: Path
    _last: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Write what `alembic init migrations` writes."""
        self.versions.mkdir(parents=True)
        self.ini(INI)
        self.write_env(ENV)

    @property
    def versions(self) -> Path:
        """Where the revision files are."""
        return self.folder / "migrations" / "versions"

    def ini(self, text: str) -> Path:
        """Replace `alembic.ini`."""
        return self.write("alembic.ini", text)

    def write_env(self, text: str) -> Path:
        """Replace `env.py`."""
        return self.write("migrations/env.py", text)

    def write(self, name: str, text: str) -> Path:
        """Write any other file of the project, such as its models."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def write_revision(
        self,
        id: str,  # noqa: A002  the word Alembic's users know
        *,
        down: Names | EllipsisType = ...,
        upgrade: str = "pass",
        downgrade: str = "pass",
        depends_on: Names = None,
        labels: Names = None,
        header: str = "",
    ) -> Path:
        """Write one revision file.

        Without `down` it follows the revision written last; `down=None` makes a base. The bodies are Python,
        indented as their place in the test wants it; `header` goes below the imports.
        """
        parent = self._last if down is ... else down
        self._last = id
        text = _REVISION.format(
            id=id,
            doc=f"Revision {id}",
            header=textwrap.dedent(header),
            down=parent,
            labels=labels,
            depends_on=depends_on,
            upgrade=_body(upgrade),
            downgrade=_body(downgrade),
        )
        path = self.versions / f"{id}_.py"
        path.write_text(text)
        return path


def _body(code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), "    ")
