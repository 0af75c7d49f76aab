"""What is said about the API as a whole."""

from __future__ import annotations

from collections.abc import Mapping

TAGS: Mapping[str, str] = {
    "Recording": "Say that something was deployed.",
    "Reading": "Ask what runs where, since when, and who did it.",
    "Health": "Whether the server is well, as ProGet's tools ask.",
    "Documentation": "What the API can do.",
    "Pages": "For people with a browser.",
}

INTRODUCTION = """\
The API of ProGet's package deployments: `POST /api/package-deployment/` records that a version of a package was \
deployed to a target; everything below `/api/deployments` answers what runs where.

**Paths and names.** Paths match in any letter case, with and without a last slash, and never redirect. \
Parameters match in any letter case. One that may have several values is given several times: \
`target=web01&target=web02`. An empty value is as good as none. A parameter that is not known is a 400: a \
misspelt filter must not return everything. What is read with GET can be asked for with HEAD.

**Credentials.** An API key in `X-ApiKey`, in `?key=`, in the body where there is one, or as the password of the \
user `api` in Basic authentication; or a user's own name and password; or, to read, the session of who is signed \
in to the web pages. The first in this order counts. Without any, the caller is Anonymous, and may be let in \
too. A wrong one is a 403 even then. There is no 401: ProGet has none.

**Dates** are ISO 8601 (`2021-04-13T10:00:00Z`, `2021-04-13 12:00+02:00`, `2021-04-13`), RFC 1123 or .NET's \
`/Date(1618308000000)/`; UTC where no zone is given. A parameter also takes how long ago it was: `90s`, `15m`, \
`24h`, `7d`, `2w`. Answers have them in UTC.

**Formats.** Lists are JSON, NDJSON or CSV, by the Accept header or by `format=`. JSON comes in pages of 50, or \
of `limit`; the `Link` header has the address of the next one. NDJSON and CSV are streams of everything, unless \
there is a `limit`.

**Caching.** An `ETag` stands until something is recorded or access changes. `If-None-Match` with it is answered \
with 304.

**Errors** are plain text, a line for each thing that is wrong; or `application/problem+json` (RFC 9457) if the \
Accept header names JSON. Every answer has an `X-Request-Id`, which the server's log has too."""
