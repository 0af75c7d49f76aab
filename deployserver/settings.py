"""The settings: every option is declared once, as a field of one of the section classes.

The file, the environment, the documentation in ``config.example.ini`` and ``deployserver config show`` all follow from
the declaration.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployserver import option_values as values
from deployserver.database_urls import database_url

ENVIRONMENT_PREFIX = "DEPLOYSERVER_"


def _option(default: str, parse: Callable[[str], Any], doc: str, *, secret: bool = False) -> Any:
    """Declare an option: its default as it would be written, how it is read, what it does."""
    return field(metadata={"default": default, "parse": parse, "doc": doc, "secret": secret})


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server listens, and how it is reached."""

    host: str = _option("127.0.0.1", values.text, "Address to listen on; 0.0.0.0 or :: for all addresses.")
    port: int = _option(
        "8624", values.integer(0, 65535), "Port to listen on (8624 is ProGet's own); 0 takes a free one."
    )
    base_path: str = _option(
        "",
        values.base_path,
        "Path the server is reached under behind a reverse proxy, such as /proget. Requests without it are served too.",
    )
    trusted_proxies: values.Networks = _option(
        "",
        values.networks,
        "Addresses or networks of reverse proxies, separated by commas. Only they may say, with X-Forwarded-For, "
        "-Proto and -Host, who the client is and how it reached them.",
    )
    tls_certificate: Path | None = _option(
        "",
        values.optional_path,
        "PEM file with the certificate and its chain; with tls_key, the server speaks HTTPS.",
    )
    tls_key: Path | None = _option("", values.optional_path, "PEM file with the certificate's private key.")
    workers: int = _option(
        "1",
        values.integer(1, 256),
        "Processes that serve, on one port; more than one needs Linux or another system with SO_REUSEPORT.",
    )
    shutdown_timeout: float = _option(
        "30", values.number(0), "Seconds that requests under way get to finish when the server stops."
    )


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the records are kept."""

    url: str = _option(
        "sqlite:///deployserver.db",
        database_url,
        "Database: sqlite:///FILE, relative to the configuration file, or postgresql://USER:PASSWORD@HOST:PORT/NAME, "
        "which needs pip install 'deployserver[postgresql]'.",
        secret=True,
    )
    busy_timeout: float = _option(
        "5",
        values.number(0),
        "Seconds to wait for a database that another process has locked before answering 503.",
    )


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """Who may try, and how often."""

    pseudo_keys: bool = _option(
        "true",
        values.boolean,
        "Whether a user's own name and password are accepted in place of an API key. The sign-in page takes them "
        "regardless.",
    )
    lockout_failures: int = _option(
        "20",
        values.integer(0),
        "Wrong credentials from one address (IPv6: one /64) within lockout_seconds before it is refused with 429, "
        "counted by all processes and servers on the database together; 0 switches the lockout off.",
    )
    lockout_seconds: int = _option(
        "300", values.integer(1), "Seconds that failures are remembered, and that an address is refused for."
    )
    session_hours: int = _option(
        "12",
        values.integer(1, 8760),
        "Hours after which a sign-in to the web pages ends; not used for a quarter of them, it ends sooner.",
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one request, and all of them together, may take."""

    body_bytes: int = _option(
        "1048576",
        values.integer(1),
        "Largest request body in bytes, also after decompression; larger is 413.",
    )
    body_timeout: float = _option(
        "60", values.number(1), "Seconds a request body may take to arrive before it is given up with 400."
    )
    queue: int = _option(
        "10000",
        values.integer(1),
        "Deployments that may wait to be written at once; more are answered with 503.",
    )


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """What is written to standard error."""

    level: str = _option(
        "info",
        values.choice("debug", "info", "warning", "error"),
        "Least level logged. Requests are logged at info.",
    )
    format: str = _option(
        "auto",
        values.choice("auto", "text", "json"),
        "text for people, json for one JSON object a line; auto is text on a terminal and json elsewhere.",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; ``directory`` is what relative paths are relative to."""

    server: ServerSettings
    database: DatabaseSettings
    security: SecuritySettings
    limits: LimitSettings
    logging: LoggingSettings
    directory: Path = Path()

    def path(self, relative: Path) -> Path:
        """Return ``relative`` as a path that does not depend on the working directory."""
        return (self.directory / relative).absolute()


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option."""

    section: str
    name: str
    default: str
    doc: str
    secret: bool
    parse: Callable[[str], Any] = field(repr=False)

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"{ENVIRONMENT_PREFIX}{self.section}_{self.name}".upper()


SECTIONS: dict[str, type[Any]] = {
    "server": ServerSettings,
    "database": DatabaseSettings,
    "security": SecuritySettings,
    "limits": LimitSettings,
    "logging": LoggingSettings,
}

OPTIONS: tuple[Option, ...] = tuple(
    Option(section, item.name, **item.metadata) for section, cls in SECTIONS.items() for item in dataclasses.fields(cls)
)
