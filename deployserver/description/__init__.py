"""What the API's OpenAPI description says. Only ``document`` imports apispec, and is itself imported when asked for."""
