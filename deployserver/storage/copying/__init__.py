"""Moves all that an installation holds from one database to another, of the same kind or not, and compares the two."""
