"""What a test in Python makes a world begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from deployserver.administration import Administration
from deployserver.api_keys import create_key, revoke_key
from deployserver.double.arguments import check_kind, check_texts, texts
from deployserver.double.handle import Handle
from deployserver.double.moments import to_micros
from deployserver.double.state.document import parse_state
from deployserver.double.tracebacks import plainly
from deployserver.errors import NotFound
from deployserver.feeds import add_feed
from deployserver.models import EVERYONE, KeyKind
from deployserver.privileges import add_privilege
from deployserver.users import add_user

__tracebackhide__ = True  # in pytest, a failure is shown where a test called us


class Seeding(Handle):
    """Makes feeds, keys, users and privileges in a world, and loads and reads all of its state."""

    def add_feed(self, name: str, *, type: str = "nuget", anonymous: bool = False) -> None:
        """Make a feed; ``anonymous`` lets everybody without a key view it and record in it.

        Raises InvalidValue, and Conflict if there is one of this name.
        """
        plainly(lambda: check_texts(name=name, type=type))
        self._administer(lambda admin: add_feed(admin, name, type, anonymous=anonymous))

    def add_key(
        self,
        *,
        feed: str | Sequence[str] = (),
        user: str | None = None,
        kind: KeyKind | None = None,
        scopes: str | Sequence[str] = (),
        name: str = "",
        expires: date | str | None = None,
        value: str | None = None,
    ) -> str:
        """Make an API key and return its text.

        It is a feed key with ``feed``, a personal key with ``user``, else a system key with full control. ``value`` is
        the text it is to have, else it is random. ``name`` is what ``UserName`` defaults to. Raises InvalidValue,
        NotFound, Conflict.
        """
        plainly(lambda: check_texts("user", "value", user=user, name=name, value=value))
        feeds, scopes = plainly(lambda: (texts("feed", feed), texts("scopes", scopes)))
        kind = kind or ("feed" if feeds else "personal" if user is not None else "system")
        plainly(lambda: check_kind(kind))
        expires_at = None if expires is None else plainly(lambda: to_micros(expires))
        world = self._open_world

        async def create(admin: Administration) -> str:
            made = await create_key(
                admin, kind, scopes=scopes, feeds=feeds, user=user, name=name, expires_at=expires_at, value=value
            )
            world.secrets[made.key.id] = made.secret  # at once: after a reset, the id would be that of another key
            return made.secret

        return self._administer(create)

    def revoke_key(self, key: str) -> None:
        """Revoke a key, given as its text. Raises NotFound, and Conflict if it is revoked already."""
        world = self._open_world

        async def revoke(admin: Administration) -> None:
            ids = [id_ for id_, secret in world.secrets.items() if secret == key]
            if not ids:
                raise NotFound("There is no such API key: what is to be revoked is the text that add_key returned.")
            await revoke_key(admin, ids[0])

        self._administer(revoke)

    def add_user(self, name: str, password: str | None = None) -> None:
        """Make a user, who may do nothing yet. Raises InvalidValue, and Conflict if there is one of this name."""
        plainly(lambda: check_texts("password", name=name, password=password))
        self._administer(lambda admin: add_user(admin, name, password))

    def grant(self, privilege: str, *, to: str = EVERYONE, feed: str | None = None) -> None:
        """Grant a privilege (``Feeds_DownloadPackage`` to record, ``Feeds_ViewFeed`` to read), for one feed or for all.

        ``to`` is a user, ``Everyone``, ``Authenticated`` or ``Anonymous``. Raises InvalidValue, NotFound, Conflict.
        """
        self._set_privilege(privilege, to, feed, granted=True)

    def deny(self, privilege: str, *, to: str = EVERYONE, feed: str | None = None) -> None:
        """Deny a privilege; see ``grant``."""
        self._set_privilege(privilege, to, feed, granted=False)

    def load(self, state: Mapping[str, Any] | Path | str) -> None:
        """Add the feeds, users, keys, privileges and deployments of a document, or of the file at a path.

        Raises InvalidRequest, which names everything that is wrong; then nothing is added.
        """
        document = plainly(lambda: read_document(state))
        world = self._open_world
        self._call(lambda: world.add_state(document))

    @property
    def state(self) -> dict[str, Any]:
        """All feeds, users, keys, privileges and deployments, as a document that ``load`` takes."""
        return self._call(self._open_world.state)

    def reset(self) -> None:
        """Go back to the beginning: what was recorded, received, seeded and set is gone."""
        self._call(self._open_world.reset)

    def _set_privilege(self, privilege: str, to: str, feed: str | None, *, granted: bool) -> None:
        plainly(lambda: check_texts("feed", privilege=privilege, to=to, feed=feed))
        self._administer(lambda admin: add_privilege(admin, to, privilege, feed, granted=granted))


def read_document(state: Mapping[str, Any] | Path | str | None) -> Any:
    """Return a state document as it is given, or as the file at a path holds it. Raises InvalidRequest, OSError."""
    return parse_state(Path(state).read_bytes()) if isinstance(state, (str, Path)) else state
