import asyncio
import concurrent.futures
from logging.config import fileConfig

from alembic import context

from app.db import engine

config = context.config
fileConfig(config.config_file_name, disable_existing_loggers=True)


def do_run_migrations(connection):
    context.configure(
        connection=connection,
        target_metadata=None,
        compare_type=True,
        compare_server_default=True,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_migrations_online():
    async with engine.begin() as connection:
        await connection.run_sync(do_run_migrations)
    await engine.dispose()


try:
    asyncio.get_running_loop()
except RuntimeError:
    asyncio.run(run_migrations_online())
else:
    # inside a test's loop
    with concurrent.futures.ThreadPoolExecutor() as executor:
        executor.submit(asyncio.run, run_migrations_online()).result()
