"""What can go wrong with PostgreSQL: what an error means, and whether the connection and the change outlive it."""

from __future__ import annotations

import socket
import ssl

import asyncpg

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that the driver raises where the database is to blame, or the way to it; TimeoutError is an OSError."""

SUPERSEDED = "DS001"
"""How record_batch says that the writer it was called for has another connection by now, or has been swept."""

READ_ONLY = "it is read-only: a standby, or a database that an administrator has set so; name the primary server."

_REPEATABLE = ("40001", "40P01", SUPERSEDED)
_REJECTED = ("22", "23")
_USELESS = ("25006", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04", "26000", "42P05")
_MEANINGS = {
    "28P01": "the server does not accept this user's password, or got none; see [database] url, PGPASSWORD, ~/.pgpass.",
    "28000": "the server does not let this user in from here; see pg_hba.conf there, and sslmode in [database] url.",
    "3D000": "there is no such database on the server; make it with CREATE DATABASE, or change [database] url.",
    "3F000": "the schema that tables are to be made in does not exist; make it, or change search_path.",
    "42501": "this user may not do that; let it own the tables and GRANT CREATE ON SCHEMA to it.",
    "42P01": "it lacks a table; run deployserver migrate.",
    "53100": "the server's disk is full; make room there.",
    "53200": "the server is out of memory.",
    "53300": "the server has too many connections; raise max_connections there, or run fewer servers.",
    "55P03": "another transaction has kept it locked for too long; end that, or raise [database] busy_timeout.",
    "57014": "the server has given the statement up: it took too long, or was cancelled.",
    "57P01": "the server is being stopped, or an administrator has ended the connection.",
    "57P02": "one of the server's processes has crashed; it restarts by itself.",
    "57P03": "the server is starting, stopping or recovering, and takes no connections now.",
    "25006": READ_ONLY,
    "40001": "another transaction got in the way.",
    "40P01": "another transaction got in the way.",
    "26000": "a pooler stands in between that gives each transaction another connection; let it pool sessions.",
    "42P05": "a pooler stands in between that gives each transaction another connection; let it pool sessions.",
}


def explain(error: BaseException) -> str:
    """Say what an error means, and what to do about it."""
    if isinstance(error, asyncpg.PostgresConnectionError) and not getattr(error, "severity", None):
        return "the connection broke."
    if isinstance(error, ConnectionResetError | BrokenPipeError | asyncpg.InternalClientError):
        return "the connection broke."  # the driver says it in words about itself, when that is in mid-statement
    if isinstance(error, asyncpg.PostgresError):
        said = str(error.args[0]).rstrip(".") if error.args else type(error).__name__
        meaning = _MEANINGS.get(error.sqlstate or "")
        return f"{said}: {meaning}" if meaning else f"{said}."
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "none of the hosts is what target_session_attrs asks for, the primary server most likely."
    if isinstance(error, ConnectionRefusedError):
        return "nothing takes connections there; is the server running, and are host and port right?"
    if isinstance(error, socket.gaierror):
        return f"the name of the host cannot be looked up ({error.strerror})."
    if isinstance(error, ssl.SSLError):
        return f"TLS does not come about ({error}); see sslmode and sslrootcert in [database] url."
    if isinstance(error, TimeoutError):
        return "the server does not answer in time."
    return f"{str(error).rstrip('.') or type(error).__name__}."


def is_undone(error: BaseException) -> bool:
    """Tell whether the server has said, of what was sent to it last, that nothing of it was done.

    Only an ERROR says so: what ends the connection can come when all is done but the answer.
    """
    if isinstance(error, asyncpg.PostgresError):
        return getattr(error, "severity_en", None) == "ERROR" and not (error.sqlstate or "08").startswith("08")
    return _is_not_sent(error)


def is_rejected(error: BaseException) -> bool:
    """Tell whether it is the data that the database will not have."""
    if isinstance(error, asyncpg.PostgresError):
        return is_undone(error) and (error.sqlstate or "")[:2] in _REJECTED
    return _is_not_sent(error)


def is_repeatable(error: BaseException) -> bool:
    """Tell whether nothing was done, and the same may work when it is tried again."""
    return is_undone(error) and getattr(error, "sqlstate", None) in _REPEATABLE


def is_useless(error: BaseException) -> bool:
    """Tell whether the connection that raised an error is of no use any more, though it may be open."""
    if isinstance(error, asyncpg.PostgresError):
        return not is_undone(error) or error.sqlstate in _USELESS
    return isinstance(error, FAILURES) and not _is_not_sent(error)


def _is_not_sent(error: BaseException) -> bool:
    """Tell whether the driver could not write a value as PostgreSQL takes it."""
    return isinstance(error, UnicodeError) or (
        isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    )
