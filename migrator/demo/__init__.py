"""The demonstration: a throw-away Postgres, the bundled example, and one whole run over it."""
