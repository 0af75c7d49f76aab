"""Users' passwords: hashed with Argon2id, checked on a thread of their own, and not twice for the same caller."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

from deployserver.errors import InvalidValue
from deployserver.models import User

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_REMEMBERED = 1024


@cache
def _hasher() -> PasswordHasher:
    """Return Argon2id at OWASP's first recommendation: 19 MiB, two passes, one lane (Password Storage Cheat Sheet)."""
    from argon2 import PasswordHasher  # takes 15 ms to import, and most servers never see a password

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_hex())


def hash_password(password: str) -> str:
    """Return what is stored of a password. Takes some 20 ms."""
    return _hasher().hash(_bytes(password))


def check_hash(text: str) -> None:
    """Raise InvalidValue for what ``hash_password`` cannot have returned."""
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    try:
        extract_parameters(text)
    except InvalidHashError:
        raise InvalidValue("It is no hash of a password: those are Argon2's, and begin with $argon2id$.") from None


def _verify(stored: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored or _nobodys_hash(), _bytes(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


class Passwords:
    """Checks passwords, one at a time, and remembers those that were right until the user's password changes."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[tuple[int, bytes], str] = OrderedDict()
        self._checking: dict[tuple[int, bytes, str | None], asyncio.Future[bool]] = {}

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def remembers(self, user: User, password: str) -> bool:
        """Tell at once whether this password is known to be right; False says nothing."""
        asked = self._asked(user, password)
        if self._right.get(asked) != user.password_hash or user.password_hash is None:
            return False
        self._right.move_to_end(asked)
        return True

    async def check(self, user: User | None, password: str) -> bool:
        """Tell whether the password is the user's; for no user it takes as long and is False."""
        loop = asyncio.get_running_loop()
        if user is None:
            return await loop.run_in_executor(self._thread, _verify, None, password)
        if self.remembers(user, password):
            return True
        asked = self._asked(user, password)
        checked = (*asked, user.password_hash)  # a password changed meanwhile is another question
        checking = self._checking.get(checked)
        if checking is None:
            checking = loop.run_in_executor(self._thread, _verify, user.password_hash, password)
            self._checking[checked] = checking
            checking.add_done_callback(lambda _: self._checking.pop(checked, None))
        right = await asyncio.shield(checking)
        if right and user.password_hash is not None:
            self._right[asked] = user.password_hash
            if len(self._right) > _REMEMBERED:
                self._right.popitem(last=False)
        return right

    def _asked(self, user: User, password: str) -> tuple[int, bytes]:
        return user.id, hashlib.blake2b(_bytes(password), key=self._secret, digest_size=32).digest()


def _bytes(password: str) -> bytes:
    """Return UTF-8 even of what is no text: JSON and broken headers can hold half a surrogate pair."""
    return password.encode("utf-8", "surrogatepass")
