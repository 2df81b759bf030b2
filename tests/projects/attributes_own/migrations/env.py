from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

config = context.config
schema = config.attributes.get("schema") or config.get_main_option("app_schema", "library")
engine = config.attributes.get("engine")
if engine is None:
    engine = create_engine(
        config.attributes.get("url") or config.get_main_option("sqlalchemy.url"), poolclass=NullPool
    )


def include_name(name, type_, parent_names):
    if type_ == "schema":
        return name == schema
    return True


with engine.begin() as connection:
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    context.configure(
        connection=connection,
        target_metadata=None,
        include_schemas=True,
        include_name=include_name,
        version_table_schema=schema,
    )
    context.run_migrations()
