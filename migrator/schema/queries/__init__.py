"""What is asked of the catalogs of PostgreSQL 14–18, query by query; `SETUP` comes first in a transaction."""

from typing import Final

from migrator.schema.queries.columns import COLUMNS
from migrator.schema.queries.constraints import CONSTRAINTS, DOMAIN_CONSTRAINTS
from migrator.schema.queries.database import (
    CASTS,
    EVENT_TRIGGERS,
    EXTENSIONS,
    LANGUAGES,
    PUBLICATIONS,
    SCHEMAS,
    SERVERS,
    WRAPPERS,
)
from migrator.schema.queries.functions import AGGREGATES, FUNCTIONS
from migrator.schema.queries.indexes import INDEXES
from migrator.schema.queries.operators import OPERATOR_CLASSES, OPERATOR_FAMILIES, OPERATORS
from migrator.schema.queries.query import Query
from migrator.schema.queries.relations import SEQUENCES, TABLES, VIEWS
from migrator.schema.queries.rules import POLICIES, RULES, STATISTICS, TRIGGERS
from migrator.schema.queries.text import COLLATIONS, CONFIGURATIONS, DICTIONARIES
from migrator.schema.queries.types import BASE_TYPES, COMPOSITES, DOMAINS, ENUMS, RANGES

__all__ = ["QUERIES", "SETUP", "Query"]

# What Postgres' own deparsing depends on. Each is local to the transaction: inside somebody else's, take a
# savepoint first and roll back to it afterwards, which also undoes the settings.
SETUP: Final = (
    # Every name outside pg_catalog is then printed with its schema, and no temporary table shadows a catalog.
    "SET LOCAL search_path = pg_catalog, pg_temp",
    "SET LOCAL quote_all_identifiers = off",
    "SET LOCAL standard_conforming_strings = on",
    # Constants in defaults, checks and partition bounds are printed by their types.
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = postgres",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = hex",
    "SET LOCAL lc_monetary = 'C'",
    "SET LOCAL xmlbinary = base64",
    # Compiling costs more than these queries do.
    "SET LOCAL jit = off",
)

QUERIES: Final[tuple[Query, ...]] = (
    SCHEMAS,
    EXTENSIONS,
    LANGUAGES,
    ENUMS,
    DOMAINS,
    DOMAIN_CONSTRAINTS,
    COMPOSITES,
    RANGES,
    BASE_TYPES,
    COLLATIONS,
    FUNCTIONS,
    AGGREGATES,
    CASTS,
    OPERATORS,
    OPERATOR_FAMILIES,
    OPERATOR_CLASSES,
    DICTIONARIES,
    CONFIGURATIONS,
    WRAPPERS,
    SERVERS,
    SEQUENCES,
    TABLES,
    COLUMNS,
    CONSTRAINTS,
    INDEXES,
    VIEWS,
    TRIGGERS,
    RULES,
    POLICIES,
    STATISTICS,
    EVENT_TRIGGERS,
    PUBLICATIONS,
)
