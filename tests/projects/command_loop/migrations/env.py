from alembic import context

from service import database


def migrate(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()


async def migrations():
    async with database.engine.connect() as connection:
        await connection.run_sync(migrate)
    await database.engine.dispose()


database.run(migrations())
