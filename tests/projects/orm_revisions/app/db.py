"""Some code of the application's imports Alembic's context, to know where it runs."""

from alembic import context
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def is_migrating() -> bool:
    try:
        return context.config is not None
    except (AttributeError, NameError):
        return False


class Base(DeclarativeBase):
    pass


class Country(Base):
    __tablename__ = "country"
    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
