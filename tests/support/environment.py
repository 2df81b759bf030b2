"""Variations of Alembic's `env.py`, as projects write them."""

import textwrap
from typing import Final

from tests.support.project import ENV

# Alembic's own template `async`, without its comments.
ASYNC_ENV: Final = """\
import asyncio
from logging.config import fileConfig

from sqlalchemy import pool
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import async_engine_from_config

from alembic import context

config = context.config

if config.config_file_name is not None:
    fileConfig(config.config_file_name)

target_metadata = None


def do_run_migrations(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=target_metadata)

    with context.begin_transaction():
        context.run_migrations()


async def run_async_migrations() -> None:
    connectable = async_engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )

    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)

    await connectable.dispose()


def run_migrations_online() -> None:
    asyncio.run(run_async_migrations())


run_migrations_online()
"""

# The connection of Alembic's template, found by these lines.
_CONNECTABLE: Final = """\
    connectable = engine_from_config(
        config.get_section(config.config_ini_section, {}),
        prefix="sqlalchemy.",
        poolclass=pool.NullPool,
    )
"""
_CONFIGURE: Final = """\
        context.configure(
            connection=connection, target_metadata=target_metadata
        )
"""


def env_with(*, header: str = "", connectable: str = "", before: str = "", options: str = "") -> str:
    """Give Alembic's `env.py` with these lines below its imports and before its `configure`.

    `connectable` is an expression that makes another engine; `options` are further arguments of
    both its calls of `configure`.
    """
    text = ENV.replace(
        "\nconfig = context.config\n", f"\n{textwrap.dedent(header)}\nconfig = context.config\n"
    )
    if connectable:
        text = text.replace(_CONNECTABLE, f"    connectable = {connectable}\n")
    configure = (
        _CONFIGURE.replace("target_metadata\n", f"target_metadata, {options}\n") if options else _CONFIGURE
    )
    if options:
        text = text.replace(
            'dialect_opts={"paramstyle": "named"},', f'dialect_opts={{"paramstyle": "named"}}, {options},'
        )
    lines = textwrap.indent(textwrap.dedent(before).strip("\n"), " " * 8)
    return text.replace(_CONFIGURE, f"{lines}\n{configure}" if before else configure)
