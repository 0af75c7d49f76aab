"""What a browser is told about every page: run and load nothing that is not ours, and keep no copy."""

from __future__ import annotations

from types import MappingProxyType

from aiohttp import hdrs

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

PAGE_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        # A page shows what its reader may see: no cache between, and nothing to go back to after signing out.
        hdrs.CACHE_CONTROL: "private, no-store",
        # The same address may answer others with JSON, or with other records.
        hdrs.VARY: "Accept, Cookie",
    }
)
