"""The web edge: the only place, with ``app`` and ``server``, that knows aiohttp."""
