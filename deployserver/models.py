"""The nouns of the product. Times are whole microseconds since 1970-01-01T00:00:00Z (``*_at``, ``date``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

KeyKind = Literal["system", "feed", "personal"]

EVERYONE = "Everyone"
AUTHENTICATED = "Authenticated"
ANONYMOUS = "Anonymous"
BUILT_IN_PRINCIPALS = (EVERYONE, AUTHENTICATED, ANONYMOUS)

VIEW_FEED = "Feeds_ViewFeed"
DOWNLOAD_PACKAGE = "Feeds_DownloadPackage"
PRIVILEGES = (VIEW_FEED, DOWNLOAD_PACKAGE)

FULL_CONTROL = "full-control"
SYSTEM_APIS = (FULL_CONTROL, "feeds", "sca", "sbom-upload")
FEED_PERMISSIONS = ("view", "add", "promote", "delete")

FEED_TYPES = (
    "universal", "nuget", "npm", "maven", "pypi", "docker", "powershell", "chocolatey", "rubygems", "vsix",
    "bower", "helm", "debian", "rpm", "asset", "romp", "cargo", "conda", "cran", "alpine", "terraform",
)  # fmt: skip  # ProGet's own identifiers, from its Feed Management API; one line per kind would only be longer


@dataclass(frozen=True, slots=True)
class Feed:
    """A package feed; deployments are recorded against one."""

    id: int
    name: str
    type: str
    active: bool
    deployment_records_enabled: bool
    alternate_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is stored: never the key itself.

    ``hint`` is the first characters of a generated key (empty for one given by hand). ``scopes`` holds APIs for a
    system key and permissions for a feed key.
    """

    id: int
    kind: KeyKind
    name: str
    hint: str
    digest: bytes = field(repr=False)
    scopes: frozenset[str]
    feed_ids: frozenset[int]
    user_id: int | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None

    def works_at(self, time: int) -> bool:
        """Tell whether the key is neither revoked nor, at ``time``, expired."""
        return self.revoked_at is None and (self.expires_at is None or time < self.expires_at)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can be impersonated by a personal key, or signs in with a password."""

    id: int
    name: str
    password_hash: str | None = field(repr=False)
    created_at: int


@dataclass(frozen=True, slots=True)
class PrivilegeEntry:
    """One grant or denial. ``feed_id`` is None for all feeds; ``principal`` is a user's or a built-in name."""

    id: int
    principal: str
    user_id: int | None
    privilege: str
    feed_id: int | None
    granted: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, once the credential has been checked.

    ``name`` is what ``UserName`` defaults to; ``recorded_by`` says who it really was, key included.
    """

    name: str
    recorded_by: str
    key: ApiKey | None = None
    user: User | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether it is nobody in particular who is calling."""
        return self.key is None and self.user is None


class SessionRow(NamedTuple):
    """A sign-in to the web pages as the database keeps it: by a user's password, or by an API key."""

    digest: bytes
    user_id: int | None
    api_key_id: int | None
    password_fingerprint: bytes | None
    created_at: int
    expires_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in to the web pages that is still good; ``expires_at`` is when it ends at the latest."""

    caller: Caller
    expires_at: int

    @property
    def name(self) -> str:
        """The name of the user or key; ``API`` for a key without one."""
        return self.caller.name

    @property
    def kind(self) -> str:
        """What was signed in with: ``user``, ``system key``, ``feed key`` or ``personal key``."""
        return "user" if self.caller.key is None else f"{self.caller.key.kind} key"


class Submission(NamedTuple):
    """A valid deployment as a client sent it; optional properties are None where absent."""

    application: str
    description: str
    target: str
    feed_name: str
    package_name: str
    version: str
    group_name: str | None
    user_name: str | None
    url: str | None
    date: int | None


class DeploymentRow(NamedTuple):
    """A deployment as the database takes it, in the order of its columns."""

    feed_id: int
    application: str
    description: str
    target: str
    package_name: str
    version: str
    group_name: str | None
    user_name: str
    url: str | None
    date: int
    recorded_at: int
    recorded_by: str
    recorded_key_id: int | None


class Deployment(NamedTuple):
    """A deployment that is stored durably."""

    id: int
    feed_name: str
    row: DeploymentRow


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One administrative change, or refused calls or sign-ins of one kind from one address in a minute (``count``)."""

    id: int
    at: int
    last_at: int
    count: int
    actor: str
    address: str
    action: str
    subject: str
    detail: str


class LoadState(NamedTuple):
    """How far a file has been loaded: ``position`` bytes of it (once decompressed), which are ``lines`` lines.

    ``digest`` is the SHA-256 of those bytes, empty for what is known by its whole content; ``refused_bytes`` is how
    much has been written about refused lines.
    """

    id: int
    name: str
    finished_at: int | None
    position: int
    digest: str
    lines: int
    loaded: int
    refused: int
    refused_bytes: int
