"""The web pages: templates, charts and static files, rendered on the server; they work without JavaScript."""
