"""Numbered SQL migrations, one folder per database engine; applied in order, never changed once released."""
