"""Users' passwords: kept as hashes, checked once, forgotten when they change."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator

import pytest
from conftest import Service

from deployserver.errors import Conflict, InvalidValue, NotFound
from deployserver.models import User
from deployserver.passwords import Passwords, hash_password
from deployserver.users import add_user, remove_user, set_password

HASH_OF_RIGHT, HASH_OF_NEW = hash_password("right"), hash_password("new")
ANNA = User(1, "Anna", HASH_OF_RIGHT, 0)
BERT = User(2, "Bert", HASH_OF_RIGHT, 0)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords()
    yield passwords
    passwords.close()


def test_a_password_is_hashed_with_argon2id_and_a_salt_of_its_own() -> None:
    """The parameters are OWASP's first recommendation; fewer would make a stolen database cheap to search."""
    assert HASH_OF_RIGHT.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hash_password("right") != HASH_OF_RIGHT


def test_a_user_never_shows_their_hash() -> None:
    assert "argon2" not in repr(ANNA)


@pytest.mark.parametrize("password", ["right", "", " ", "Zürich ☃ 𝄞", "a:b", "\ud800", "x" * 10_000])
async def test_only_the_whole_password_is_right(passwords: Passwords, password: str) -> None:
    user = User(1, "Anna", hash_password(password), 0)
    assert await passwords.check(user, password)
    for wrong in (password + " ", password[:-1] + "X", password.swapcase() + "1"):
        assert not await passwords.check(user, wrong)


async def test_a_right_password_is_remembered_and_a_wrong_one_is_not(passwords: Passwords) -> None:
    """An agent that posts a thousand times must not cost a thousand hashes."""
    assert not passwords.remembers(ANNA, "right")
    assert await passwords.check(ANNA, "right")
    assert passwords.remembers(ANNA, "right")
    assert await passwords.check(ANNA, "right")
    assert not await passwords.check(ANNA, "wrong")
    assert not passwords.remembers(ANNA, "wrong")
    assert not passwords.remembers(BERT, "right")


async def test_a_changed_password_is_forgotten(passwords: Passwords) -> None:
    assert await passwords.check(ANNA, "right")
    changed = dataclasses.replace(ANNA, password_hash=HASH_OF_NEW)
    assert not passwords.remembers(changed, "right")
    assert not await passwords.check(changed, "right")
    assert await passwords.check(changed, "new")
    assert passwords.remembers(changed, "new")


async def test_a_password_given_again_works_again(passwords: Passwords) -> None:
    assert await passwords.check(ANNA, "right")
    again = dataclasses.replace(ANNA, password_hash=hash_password("right"))
    assert not passwords.remembers(again, "right")
    assert await passwords.check(again, "right")


async def test_a_check_under_way_says_nothing_about_a_password_changed_meanwhile(passwords: Passwords) -> None:
    """Else the old password would be remembered as right for as long as the new one is in force."""
    changed = dataclasses.replace(ANNA, password_hash=HASH_OF_NEW)
    assert await asyncio.gather(passwords.check(ANNA, "right"), passwords.check(changed, "right")) == [True, False]
    assert not passwords.remembers(changed, "right")
    assert await asyncio.gather(passwords.check(ANNA, "new"), passwords.check(changed, "new")) == [False, True]


@pytest.mark.parametrize("stored", [None, "", "not a hash", pytest.param(HASH_OF_RIGHT[:-5], id="cut off")])
async def test_who_has_no_usable_password_cannot_sign_in(passwords: Passwords, stored: str | None) -> None:
    user = dataclasses.replace(ANNA, password_hash=stored)
    for password in ("", "right", "None"):
        assert not await passwords.check(user, password)
        assert not passwords.remembers(user, password)


async def test_an_unknown_user_is_checked_too(passwords: Passwords) -> None:
    """It takes as long as for a known one, so that users' names cannot be found out by a clock."""
    assert not await passwords.check(None, "right")
    assert not await passwords.check(None, "")


async def test_many_callers_with_the_same_password_wait_for_one_check(passwords: Passwords) -> None:
    checks = [asyncio.create_task(passwords.check(ANNA, "right")) for _ in range(50)]
    await asyncio.sleep(0)
    assert passwords._thread._work_queue.qsize() <= 1
    assert await asyncio.gather(*checks) == [True] * 50


async def test_a_caller_that_gives_up_does_not_fail_the_others(passwords: Passwords) -> None:
    first = asyncio.create_task(passwords.check(ANNA, "right"))
    second = asyncio.create_task(passwords.check(ANNA, "right"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert first.cancelled()


async def test_what_is_remembered_is_bounded(passwords: Passwords) -> None:
    for number in range(1500):
        passwords._right[passwords._asked(ANNA, str(number))] = HASH_OF_RIGHT
    assert await passwords.check(ANNA, "right")
    assert await passwords.check(BERT, "right")
    assert len(passwords._right) <= 1500
    assert passwords.remembers(ANNA, "right") and passwords.remembers(BERT, "right")


# Changing them


async def test_a_password_is_stored_as_a_hash_only(service: Service) -> None:
    secret = "no-one-may-read-this"
    await add_user(service.admin, "Anna", secret)
    await set_password(service.admin, "anna", secret + "-either")
    for file in service.store.path.parent.glob("test.db*"):
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("name", ["Anna", "ANNA"])
async def test_there_is_one_user_of_a_name(service: Service, name: str) -> None:
    await add_user(service.admin, "Anna", None)
    with pytest.raises(Conflict, match="There is a user named"):
        await add_user(service.admin, name, None)


async def test_an_empty_password_is_refused(service: Service) -> None:
    with pytest.raises(InvalidValue, match="must not be empty"):
        await add_user(service.admin, "Anna", "")
    user = await add_user(service.admin, "Anna", None)
    assert user.password_hash is None
    with pytest.raises(InvalidValue, match="must not be empty"):
        await set_password(service.admin, "Anna", "")


async def test_only_a_user_that_exists_can_be_changed(service: Service) -> None:
    with pytest.raises(NotFound, match="There is no user named Anna"):
        await set_password(service.admin, "Anna", "new")
    with pytest.raises(NotFound, match="There is no user named Anna"):
        await remove_user(service.admin, "Anna")
