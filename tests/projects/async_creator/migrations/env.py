import asyncio
import os

import asyncpg
from alembic import context
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine


async def connect():
    return await asyncpg.connect(
        host=os.environ["DB_HOST"],
        port=int(os.environ["DB_PORT"]),
        user=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        database=os.environ["DB_NAME"],
        statement_cache_size=0,
    )


engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)


def migrate(connection):
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def main():
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(main())
loop.close()
