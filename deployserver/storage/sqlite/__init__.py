"""SQLite: the database that needs no set-up."""
