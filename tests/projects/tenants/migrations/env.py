from logging.config import fileConfig

from alembic import context
from sqlalchemy import engine_from_config, pool, text

config = context.config
fileConfig(config.config_file_name)


def tenants(connection):
    only = context.get_x_argument(as_dictionary=True).get("tenant")
    if only:
        return [only]
    rows = connection.execute(text("SELECT schema_name FROM public.tenant ORDER BY 1")).scalars().all()
    connection.commit()
    return rows


def run_migrations_online():
    connectable = engine_from_config(
        config.get_section(config.config_ini_section), prefix="sqlalchemy.", poolclass=pool.NullPool
    )

    with connectable.connect() as connection:
        for tenant in tenants(connection):
            print(f"--- {tenant}")
            connection.execute(text('set search_path to "%s"' % tenant))
            # in SQLAlchemy v2+ the search path change needs to be committed
            connection.commit()
            # make use of non-supported SQLAlchemy attribute to ensure
            # the dialect reflects tables in terms of the current tenant name
            connection.dialect.default_schema_name = tenant

            context.configure(connection=connection, target_metadata=None, version_table_schema=tenant)

            with context.begin_transaction():
                context.run_migrations()


run_migrations_online()
