"""What a database's schema is: read from the catalogs, fingerprinted, compared."""
