import os

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

DATABASE_URL = os.environ["DATABASE_URL"]

engine = create_async_engine(
    make_url(DATABASE_URL).set(drivername=os.getenv("DATABASE_DRIVER", "postgresql+asyncpg")),
    pool_size=5,
    max_overflow=2,
    pool_pre_ping=True,
)
SessionLocal = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
