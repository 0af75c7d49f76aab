"""What was received, as a file without credentials, and its way to another server."""
