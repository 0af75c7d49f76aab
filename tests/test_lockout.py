"""Addresses that guess credentials are slowed down and then locked out; those that know one go on working."""

from __future__ import annotations

import asyncio

import pytest
from conftest import KEY, RECORD, Answer, Service, StartService
from waiting import until

from deployserver.api_keys import create_key
from deployserver.errors import TooManyFailures
from deployserver.feeds import add_feed
from deployserver.live_access import WATCH_SECONDS
from deployserver.lockout import Lockout, address_group
from deployserver.users import add_user

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def lockout(watch: Watch) -> Lockout:
    """Three failures lock an address for a minute."""
    return Lockout(3, 60, watch)


def fail(lockout: Lockout, times: int, address: str = HERE) -> list[float]:
    return [lockout.failed(address) for _ in range(times)]


def is_open(lockout: Lockout, address: str = HERE, proof: str | None = None) -> bool:
    try:
        lockout.require_open(address, proof)
    except TooManyFailures:
        return False
    return True


def test_an_address_is_locked_after_so_many_failures(lockout: Lockout) -> None:
    fail(lockout, 2)
    assert is_open(lockout)
    fail(lockout, 1)
    assert not is_open(lockout)
    assert is_open(lockout, ELSEWHERE)


def test_it_is_told_when_to_try_again_and_opens_then(lockout: Lockout, watch: Watch) -> None:
    fail(lockout, 3)
    watch.seconds += 20.5
    with pytest.raises(TooManyFailures, match="Try again in 40 seconds") as caught:
        lockout.require_open(HERE, None)
    assert caught.value.retry_after == 40
    watch.seconds += 39.4
    assert not is_open(lockout)
    watch.seconds += 0.1
    assert is_open(lockout)


def test_after_a_lockout_failures_are_counted_anew(lockout: Lockout, watch: Watch) -> None:
    fail(lockout, 3)
    watch.seconds += 60
    fail(lockout, 2)
    assert is_open(lockout)
    fail(lockout, 1)
    assert not is_open(lockout)


def test_failures_are_forgotten_in_time(lockout: Lockout, watch: Watch) -> None:
    """An agent that is wrong twice a day is no attacker."""
    for _ in range(5):
        fail(lockout, 2)
        watch.seconds += 61
    assert is_open(lockout)


def test_what_was_right_from_there_before_goes_on_working(lockout: Lockout) -> None:
    """A good agent behind the same address as a bad one is not hurt."""
    lockout.succeeded(HERE, "API key 1")
    fail(lockout, 3)
    assert is_open(lockout, HERE, "API key 1")
    assert not is_open(lockout, HERE, "API key 2")
    assert not is_open(lockout, HERE, None)
    fail(lockout, 3, ELSEWHERE)
    assert not is_open(lockout, ELSEWHERE, "API key 1")


def test_success_does_not_reset_what_an_attacker_has_used_up(lockout: Lockout) -> None:
    """Somebody with one key of their own could else guess at others for ever."""
    for _ in range(3):
        fail(lockout, 1)
        lockout.succeeded(HERE, "API key 1")
    assert not is_open(lockout)


def test_answers_to_many_failures_are_held_back_a_little() -> None:
    delays = fail(Lockout(100, 60, lambda: 0.0), 30)
    assert delays[:5] == [0] * 5
    assert delays[5:] == sorted(delays[5:]) and delays[5] > 0
    assert max(delays) == 0.5


def test_no_failures_allowed_means_no_lockout() -> None:
    lockout = Lockout(0, 60)
    assert fail(lockout, 1000) == [0] * 1000
    assert is_open(lockout)


def test_what_is_remembered_is_bounded() -> None:
    """Failures from very many addresses cost memory for the latest only."""
    lockout = Lockout(1, 60, lambda: 0.0)
    for number in range(10_001):
        lockout.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert is_open(lockout, "10.0.0.0")
    assert not is_open(lockout, "10.0.0.1")
    for number in range(100_001):
        lockout.succeeded("10.0.0.1", str(number))
    assert not is_open(lockout, "10.0.0.1", "0")
    assert is_open(lockout, "10.0.0.1", "1")


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:0db8:0000:0001:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_failures_are_counted_by_ipv4_address_or_ipv6_network(address: str, group: str) -> None:
    """Whoever has one IPv6 address usually has a whole /64 of them."""
    assert address_group(address) == group


# Over HTTP


async def guess(service: Service, number: int) -> list[Answer]:
    return [await service.post(RECORD, key=f"wrong{guess}") for guess in range(number)]


@pytest.mark.every_engine
async def test_a_guesser_gets_429_and_a_known_key_goes_on_working(start: StartService) -> None:
    service = await start(security_lockout_failures=3)
    random = (await create_key(service.admin, "system")).secret
    by_hand = (await create_key(service.admin, "system", value="guess9")).secret
    assert (await service.post(RECORD)).status == 200
    await asyncio.sleep(2 * WATCH_SECONDS)  # the server has to see the new keys first
    before = len(await service.rows())
    assert [answer.status for answer in await guess(service, 5)] == [403, 403, 403, 429, 429]
    (locked,) = await guess(service, 1)
    assert 0 < int(locked.headers["Retry-After"]) <= 300
    assert locked.text.startswith("Too many wrong credentials came from this address. Try again in ")
    assert (await service.post(RECORD)).status == 200
    # A key that could be guessed and was not used from here before is answered like a wrong one; 160 random bits
    # cannot be guessed, and an agent that has them must not pay for its neighbour.
    assert (await service.post(RECORD, key=by_hand)).status == 429
    assert (await service.post(RECORD, key=random)).status == 200
    assert len(await service.rows()) == before + 2


@pytest.mark.every_engine
async def test_passwords_guessed_at_once_are_counted_one_by_one(start: StartService) -> None:
    """All are on their way before the first is found wrong; only so many may be checked all the same."""
    service = await start(security_lockout_failures=3)
    answers = await asyncio.gather(*(service.post(RECORD, key=f"nobody:{number}") for number in range(20)))
    assert sorted(answer.status for answer in answers) == [403] * 3 + [429] * 17


async def test_who_sends_no_credential_is_not_locked_out(start: StartService) -> None:
    service = await start(security_lockout_failures=1)
    assert [answer.status for answer in await guess(service, 2)] == [403, 429]
    answer = await service.post(RECORD, key=None)
    assert (answer.status, answer.text) == (403, "An API key is needed; send it in the X-ApiKey header.\n")
    assert (await service.request("GET", "/health")).status == 200


@pytest.mark.every_engine
async def test_a_lockout_ends(start: StartService) -> None:
    service = await start(security_lockout_failures=1, security_lockout_seconds=1)
    assert [answer.status for answer in await guess(service, 2)] == [403, 429]
    locked = await service.post(RECORD)
    assert (locked.status, locked.headers["Retry-After"]) == (429, "1")
    while locked.status == 429:
        locked = await service.post(RECORD)
    assert locked.status == 200


@pytest.mark.every_engine
async def test_passwords_are_counted_too_and_a_remembered_one_goes_on_working(start: StartService) -> None:
    service = await start(security_lockout_failures=2)
    await add_user(service.admin, "Anna", "right")
    await add_feed(service.admin, "Open", anonymous=True)

    async def is_seen() -> bool:
        return (await service.post(RECORD | {"FeedName": "Open"}, key=None)).status == 200

    await until(is_seen)
    answer = await service.post(RECORD, key="Anna:right")
    assert answer.text == "The user Anna lacks the privilege Feeds_DownloadPackage here.\n"
    statuses = [(await service.post(RECORD, key=key)).status for key in ("Anna:wrong", "nobody:wrong", "Anna:wrong")]
    assert statuses == [403, 403, 429]
    assert (await service.post(RECORD, key="Anna:right")).status == 403
    assert (await service.post(RECORD, key=KEY)).status == 429


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer x"}, {"Authorization": "Basic !"}])
async def test_what_is_no_guess_is_not_counted(start: StartService, headers: dict[str, str]) -> None:
    service = await start(security_lockout_failures=1)
    for _ in range(3):
        assert (await service.post(RECORD, key=None, headers=headers)).status == 403
    assert (await service.post(RECORD)).status == 200


async def test_problem_details_say_what_happened(start: StartService) -> None:
    service = await start(security_lockout_failures=1)
    await guess(service, 1)
    answer = await service.post(RECORD, key="wrong", headers={"Accept": "application/json"})
    assert (answer.status, answer.json["title"]) == (429, "Too many failed attempts")
    assert "Retry-After" in answer.headers
