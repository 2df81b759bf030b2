import os

from sqlalchemy import create_engine, make_url


def make_engine():
    url = make_url(os.environ["NOTES_DATABASE_URL"])
    return create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="REPEATABLE READ")
