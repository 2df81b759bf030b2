from sqlalchemy import MetaData

metadata = MetaData(schema="service")
SCHEMA = metadata.schema
VERSION_TABLE = f"{SCHEMA}_alembic"
