"""The web pages, for people with a browser."""
