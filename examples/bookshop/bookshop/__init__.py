"""A small bookshop, whose database the revisions in `migrations/` build."""
