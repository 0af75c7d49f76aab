"""The URLs that databases are named by in the configuration."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

_PASSWORD = re.compile(r"(?<=://)([^:/@?]*):.*(?=@)")
_PASSWORD_OPTION = re.compile(r"(?<=[?&])((?:ssl)?password)=[^&]*", re.IGNORECASE)
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "primary", "standby", "prefer-standby", "read-write", "read-only"),
}
_TIME_LIMIT = "[database] busy_timeout says how long to wait"
_NOT_OURS = {
    "connect_timeout": _TIME_LIMIT,
    "tcp_user_timeout": _TIME_LIMIT,
    "channel_binding": "the driver does not know it; sslmode=verify-full makes sure of the server",
    "gssencmode": "the driver does not know it",
    "load_balance_hosts": "hosts are tried in the order they are written",
    "keepalives": "connections are kept alive without it",
    "keepalives_idle": "connections are kept alive without it",
    "keepalives_interval": "connections are kept alive without it",
    "keepalives_count": "connections are kept alive without it",
    "client_encoding": "it is always UTF-8",
}
"""Options of PostgreSQL's own programs, often copied along, that the server would refuse as unknown settings."""


def database_url(value: str) -> str:
    """Read the URL of a database that this version can use. Raises ValueError with what would be right."""
    url = value.strip()
    if re.fullmatch(r"postgres(ql)?://.+", url):
        _check_postgresql(url)
    elif not re.fullmatch(r"sqlite:///.+", url):
        raise ValueError(f"is {hide_password(url)!r}; it must be sqlite:///FILE or postgresql://USER@HOST/NAME")
    return url


def hide_password(url: str) -> str:
    """Return ``url`` with its passwords, if it has any, replaced by stars."""
    return _PASSWORD_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1:***", url))


def without_passwords(text: str, url: str) -> str:
    """Return a message about the database at ``url`` in which none of its passwords stands, however it is written."""
    parts = urlsplit(url)
    written = [parts.netloc.rpartition("@")[0].partition(":")[2]]
    written += [value for name, value in parse_qsl(parts.query) if name.lower() in ("password", "sslpassword")]
    secrets = {form for secret in written for form in (secret, unquote(secret)) if len(form) > 3}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def hosts_of(url: str) -> list[str]:
    """Return the hosts, with their ports, that a PostgreSQL URL names."""
    parts = urlsplit(url)
    named = parts.netloc.rpartition("@")[2] or options_of(url).get("host", "")
    return [host for host in named.split(",") if host]


def options_of(url: str) -> dict[str, str]:
    """Return what a PostgreSQL URL says behind its question mark."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def _check_postgresql(url: str) -> None:
    """See that the driver understands a URL. No message repeats what may be part of a password."""
    escaping = "in a user name or password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25"
    if "#" in url:
        raise ValueError(f"holds a #, where it would end; {escaping}")
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError("is no URL; it must be postgresql://USER:PASSWORD@HOST:PORT/NAME?OPTION=VALUE") from None
    if parts.netloc.count("@") > 1:
        raise ValueError(f"holds more than one @ before the name of the database; {escaping}")
    for host in hosts_of(url):
        port = re.fullmatch(r"(?:\[[^\]]*\]|[^:]*)(?::(\d*))?", host)
        if port is None or not 0 < int(port[1] or 5432) < 65536:
            raise ValueError(f"has a port that is no number from 1 to 65535; {escaping}")
    for name, known in _CHOICES.items():
        if options.get(name, known[0]) not in known:
            raise ValueError(f"says {name}={options[name]}; it must be one of {', '.join(known)}")
    for name, why in _NOT_OURS.items():
        if name in options:
            raise ValueError(f"says {name}, which must be left out: {why}")
