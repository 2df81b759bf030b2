"""Everything that asks Postgres something: sessions, readiness, the leader lock, the catalogs."""
