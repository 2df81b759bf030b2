"""A backup that is proven before anything changes."""
