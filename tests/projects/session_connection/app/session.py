import os

from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"].replace("postgres://", "postgresql://"), pool_size=10, future=True)
Session = scoped_session(sessionmaker(bind=engine, autoflush=False))
