"""Migrations of the journal's schema, from one release to the next."""
