"""What can go wrong, one class each; the web edge and the command line turn them into answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class DeployServerError(Exception):
    """Base of every error this package raises on purpose; its text is meant for the person who reads it."""

    status = 500
    title = "Internal error"


class InvalidRequest(DeployServerError):
    """The request's data is missing, malformed or not acceptable.

    ``errors`` maps a property name to its messages; the name ``body`` stands for the request body as a whole.
    """

    status = 400
    title = "Invalid or missing data"

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {name: list(messages) for name, messages in errors.items()}
        super().__init__("; ".join(f"{name}: {' '.join(messages)}" for name, messages in self.errors.items()))


class MalformedBody(InvalidRequest):
    """The body cannot be read as what it says it is."""

    def __init__(self, message: str) -> None:
        super().__init__({"body": [message]})


class BodyTooLarge(DeployServerError):
    """The body, once decompressed, is larger than ``[limits] body_bytes``."""

    status = 413
    title = "Body too large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than the limit of {limit} bytes.")


class FeedUnavailable(InvalidRequest):
    """The feed exists but takes no deployment records now."""

    title = "Feed takes no deployment records"


class Refused(DeployServerError):
    """The caller is known or unknown, and in either case not let in.

    For the audit it says who called (``actor``), what they asked for (``subject``, a feed's name or nothing), and
    the ``reason`` in words that only an administrator gets to see; by default they are the message.
    """

    status = 403
    title = "Forbidden"

    def __init__(self, message: str, *, actor: str, subject: str = "", reason: str = "") -> None:
        self.actor = actor
        self.subject = subject
        self.reason = reason or message
        super().__init__(message)


class InvalidCredential(Refused):
    """A credential was sent and is wrong, expired or revoked."""


class NotPermitted(Refused):
    """The caller is who they say, and lacks the privilege."""


class TooManyFailures(Refused):
    """Too many wrong credentials came from the caller's address; ``retry_after`` is in seconds."""

    status = 429
    title = "Too many failed attempts"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"Too many wrong credentials came from this address. Try again in {retry_after} seconds.",
            actor="unknown",
            reason=self.title,
        )


class ForeignOrigin(Refused):
    """A page of another site, or something that may be one, made a browser send what only our own pages may."""

    def __init__(self) -> None:
        super().__init__(
            "This may only be sent from this server's own pages: the Sec-Fetch-Site, Origin or Referer header names "
            "another site, or has been left out. Behind a reverse proxy, name the proxy in [server] "
            "trusted_proxies, so that the address people use is known here.",
            actor="unknown",
            reason="sent from another site",
        )


class FeedNotFound(DeployServerError):
    """No feed has the name or alternate name that was asked for."""

    status = 404
    title = "Feed not found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no feed named '{name}'.")


class StoreUnavailable(DeployServerError):
    """The database cannot take or give data now; nothing was stored. ``retry_after`` is in seconds."""

    status = 503
    title = "Store unavailable"
    retry_after = 5

    def __init__(self, message: str = "The deployment could not be stored: the database is unavailable.") -> None:
        super().__init__(message)


class StoreInDoubt(StoreUnavailable):
    """Nobody knows whether the deployment was stored, so that neither 200 nor 503 may be answered."""


class QueueFull(StoreUnavailable):
    """More deployments wait to be written than ``[limits] queue`` allows; nothing was stored."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__("The deployment was not stored: too many others are waiting to be written.")


class NotAcceptable(DeployServerError):
    """The client accepts none of the media types that there are."""

    status = 406
    title = "Not acceptable"

    def __init__(self, media_types: Sequence[str]) -> None:
        super().__init__(f"The Accept header names none of {', '.join(media_types)}; add ?format= to choose one.")


class Conflict(DeployServerError):
    """What is to be made exists already, or what is to be removed is in use."""

    status = 409
    title = "Conflict"


class NotFound(DeployServerError):
    """A key, user, privilege entry or deployment that was named does not exist."""

    status = 404
    title = "Not found"


class ExpectationFailed(DeployServerError):
    """What a test expects of the test double is not so; the text says what there was instead."""

    status = 409
    title = "Expectation failed"


class InvalidValue(DeployServerError):
    """An administrator gave a value that cannot be used."""

    status = 400
    title = "Invalid value"


class ConfigurationError(DeployServerError):
    """The configuration names an unknown option or holds a bad value; the text says which, and where."""

    title = "Configuration error"


class DatabaseError(DeployServerError):
    """The database cannot be opened or migrated; the text says why and what to do."""

    title = "Database error"
