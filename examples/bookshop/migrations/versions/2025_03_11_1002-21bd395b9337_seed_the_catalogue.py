"""Seed the catalogue.

Revision ID: 21bd395b9337
Revises: 795cf74a67a9
Create Date: 2025-03-11 10:02:45.284611

"""

from collections.abc import Sequence

from alembic import op

# revision identifiers, used by Alembic.
revision: str = "21bd395b9337"
down_revision: str | Sequence[str] | None = "795cf74a67a9"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Nothing is random, so that each database is seeded with the very same rows.
# The ISBNs are invented and have no valid check digit.
AUTHORS = """
    INSERT INTO authors (name)
    SELECT given || ' ' || family
    FROM unnest('{Ada,Bruno,Clara,Dmitri,Elif,Femi,Greta,Hugo,Ines,Jonas,Kavya,Liam}'::text[]) AS given
    CROSS JOIN unnest('{Abara,Berg,Costa,Dubois,Endo,Farkas,Gupta,Holm,Ivanova,Jansen}'::text[]) AS family
    ORDER BY family, given
"""
GENRES = """
    INSERT INTO genres (name)
    SELECT unnest('{Biography,Children,Cookery,Crime,Essays,Fantasy,History,Poetry,Science,Travel}'::text[])
"""
BOOKS = """
    WITH
        writers AS (SELECT array_agg(id ORDER BY id) AS ids FROM authors),
        shelves AS (SELECT array_agg(id ORDER BY id) AS ids FROM genres),
        words AS (
            SELECT
                '{Quiet,Last,Hidden,Crooked,Golden,Borrowed,Northern,Second,Paper,Salt}'::text[] AS first,
                '{Harbour,Orchard,Letter,Winter,Machine,Garden,Map,River,Alphabet,Kitchen}'::text[] AS second
        )
    INSERT INTO books (isbn, title, author_id, genre_id, format, price_cents, published_on)
    SELECT
        '97800' || lpad(n::text, 8, '0'),
        'The ' || words.first[1 + n % 10] || ' ' || words.second[1 + n / 10 % 10] || ', book ' || 1 + n / 100,
        writers.ids[1 + n * 7 % array_length(writers.ids, 1)],
        shelves.ids[1 + n * 3 % array_length(shelves.ids, 1)],
        ('{hardcover,paperback,paperback,ebook}'::book_format[])[1 + n % 4],
        499 + n * 37 % 3000,
        DATE '1990-01-01' + n * 4
    FROM generate_series(0, 2999) AS n CROSS JOIN writers CROSS JOIN shelves CROSS JOIN words
"""


def upgrade() -> None:
    """Fill the shelves with 3000 books by 120 authors."""
    op.execute(AUTHORS)
    op.execute(GENRES)
    op.execute(BOOKS)


def downgrade() -> None:
    """Take the seeded books away, and whom or what no book refers to any more.

    Postgres refuses while somebody has ordered one.
    """
    op.execute("DELETE FROM books WHERE isbn LIKE '97800%'")
    op.execute("DELETE FROM authors WHERE NOT EXISTS (SELECT FROM books WHERE author_id = authors.id)")
    op.execute("DELETE FROM genres WHERE NOT EXISTS (SELECT FROM books WHERE genre_id = genres.id)")
