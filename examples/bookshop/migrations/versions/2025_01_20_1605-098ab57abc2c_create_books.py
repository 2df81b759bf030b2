"""Create books.

Revision ID: 098ab57abc2c
Revises: 2dc4570f26c0
Create Date: 2025-01-20 16:05:51.093310

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

# revision identifiers, used by Alembic.
revision: str = "098ab57abc2c"
down_revision: str | Sequence[str] | None = "2dc4570f26c0"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Create the books, and the enum of their formats with them."""
    op.create_table(
        "books",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("isbn", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("genre_id", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.Enum("hardcover", "paperback", "ebook", name="book_format"), nullable=False),
        sa.Column("price_cents", sa.Integer(), nullable=False),
        sa.Column("published_on", sa.Date(), nullable=False),
        sa.CheckConstraint("price_cents >= 0", name=op.f("ck_books_price_not_negative")),
        sa.ForeignKeyConstraint(["author_id"], ["authors.id"], name=op.f("fk_books_author_id_authors")),
        sa.ForeignKeyConstraint(["genre_id"], ["genres.id"], name=op.f("fk_books_genre_id_genres")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_books")),
        sa.UniqueConstraint("isbn", name=op.f("uq_books_isbn")),
    )
    op.create_index(op.f("ix_books_author_id"), "books", ["author_id"])
    op.create_index(op.f("ix_books_genre_id"), "books", ["genre_id"])


def downgrade() -> None:
    """Drop the table, then its enum, which Alembic would leave behind."""
    op.drop_table("books")
    op.execute("DROP TYPE book_format")
