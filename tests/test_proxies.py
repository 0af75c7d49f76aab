"""Who the client is behind reverse proxies, and the address the server is known by."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from conftest import PATH, RECORD, Answer, Service, StartService
from multidict import CIMultiDict
from waiting import until

from deployserver.api.proxies import Proxies
from deployserver.option_values import networks

NOBODY = networks("")
TRUSTED = networks("10.0.0.0/8, 2001:db8:aaaa::/48, 127.0.0.1, ::1")


def address(remote: str | None, *forwarded: str, trusted: object = TRUSTED) -> str:
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    request = make_mocked_request("POST", PATH, headers).clone(remote=remote)
    return Proxies(trusted).client_address(request)  # type: ignore[arg-type]


def url(remote: str, trusted: object = TRUSTED, **forwarded: str) -> str:
    headers = CIMultiDict({f"X-Forwarded-{name}": value for name, value in forwarded.items()}, Host="inside:8624")
    return Proxies(trusted).public_url(make_mocked_request("GET", "/", headers).clone(remote=remote))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # no proxy of ours: it may claim what it likes
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.7"], "198.51.100.7"),  # the client itself claimed the first
        ("10.0.0.1", ["203.0.113.5", "198.51.100.7"], "198.51.100.7"),  # likewise, in a line of its own
        ("10.0.0.1", ["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, 10.0.0.3", "10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # a client within the trusted network
        ("10.0.0.1", [" , 198.51.100.7 ,, "], "198.51.100.7"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7:5000"], "198.51.100.7"),  # Azure's gateway adds the port
        ("10.0.0.1", ["198.51.100.7, 10.0.0.2:5000"], "198.51.100.7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]:5000"], "2001:db8::7"),
        ("10.0.0.1", ["198.51.100.7, [2001:db8:aaaa::2]:5000"], "198.51.100.7"),
        ("2001:db8:aaaa::1", ["198.51.100.7"], "198.51.100.7"),
        ("2001:db8:bbbb::1", ["198.51.100.7"], "2001:db8:bbbb::1"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),  # how a server on :: sees an IPv4 proxy
        ("::1%lo", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, garbage"], "10.0.0.1"),
        (None, ["198.51.100.7"], "unknown"),
    ],
)
def test_the_client_is_the_first_address_from_the_right_that_is_no_proxy(
    remote: str | None, forwarded: list[str], client: str
) -> None:
    """What stands further left was claimed by the client, who could else hide from the lockout."""
    assert address(remote, *forwarded) == client


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert address("127.0.0.1", "198.51.100.7", trusted=NOBODY) == "127.0.0.1"
    assert url("127.0.0.1", NOBODY, For="198.51.100.7", Proto="https", Host="proget.example") == "http://inside:8624"


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("192.0.2.1", {"Proto": "https", "Host": "evil.example"}, "http://inside:8624"),
        ("10.0.0.1", {}, "http://inside:8624"),
        ("10.0.0.1", {"For": "198.51.100.7"}, "http://inside:8624"),
        ("10.0.0.1", {"Proto": "https"}, "https://inside:8624"),
        ("10.0.0.1", {"Host": "proget.example:8443"}, "http://proget.example:8443"),
        ("10.0.0.1", {"For": "198.51.100.7", "Proto": "https", "Host": "proget.example"}, "https://proget.example"),
        # the client claimed what stands further left
        ("10.0.0.1", {"For": "1.1.1.1, 198.51.100.7", "Host": "evil.example, proget.example"}, "http://proget.example"),
        ("10.0.0.1", {"Host": "evil.example, proget.example", "Proto": "gopher, https"}, "https://proget.example"),
        # two proxies that each append, and two of which the outer one alone sets the header
        (
            "10.0.0.1",
            {"For": "198.51.100.7, 10.0.0.2", "Proto": "https, http", "Host": "proget.example, inner"},
            "https://proget.example",
        ),
        (
            "10.0.0.1",
            {"For": "198.51.100.7, 10.0.0.2", "Proto": "https", "Host": "proget.example"},
            "https://proget.example",
        ),
    ],
)
def test_the_public_url_is_what_the_outermost_trusted_proxy_was_asked_for(
    remote: str, forwarded: dict[str, str], expected: str
) -> None:
    assert url(remote, **forwarded) == expected


# Over HTTP


async def refused_from(service: Service) -> set[str]:
    """Return the addresses that the audit of refused calls knows."""
    found: list[str] = []

    async def is_written() -> bool:
        found[:] = [row["address"] for row in await service.rows("SELECT address FROM audit WHERE action = 'refused'")]
        return bool(found)

    await until(is_written)
    return set(found)


@pytest.mark.parametrize(("trusted", "client"), [("", "127.0.0.1"), ("127.0.0.0/8 10.0.0.0/8", "198.51.100.7")])
async def test_the_audit_names_the_client_behind_trusted_proxies(
    start: StartService, trusted: str, client: str
) -> None:
    service = await start(server_trusted_proxies=trusted)
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7, 10.0.0.5"}
    assert (await service.post(RECORD, key="wrong", headers=headers)).status == 403
    assert await refused_from(service) == {client}


async def test_clients_behind_a_trusted_proxy_are_locked_out_one_by_one(start: StartService) -> None:
    service = await start(server_trusted_proxies="127.0.0.1", security_lockout_failures=1)

    async def post(client: str, key: str) -> Answer:
        return await service.post(RECORD, key=key, headers={"X-Forwarded-For": client})

    assert [(await post("198.51.100.7", "wrong")).status for _ in range(2)] == [403, 429]
    assert (await post("198.51.100.8", "abc12345")).status == 200
    assert (await post("203.0.113.1, 198.51.100.7", "wrong")).status == 429
    assert (await post("2001:db8::1", "wrong")).status == 403
    assert (await post("[2001:db8::2]:443", "wrong")).status == 429


FORWARDED = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "proget.example"}


@pytest.mark.parametrize("base_path", ["", "/proget"])
@pytest.mark.parametrize(("method", "path", "status"), [("GET", PATH, 405), ("POST", "/api/nothing", 404)])
async def test_an_answer_names_the_url_that_the_client_can_reach(
    start: StartService, base_path: str, method: str, path: str, status: int
) -> None:
    service = await start(server_trusted_proxies="127.0.0.1", server_base_path=base_path)
    answer = await service.request(method, path, headers=FORWARDED)
    assert answer.status == status
    assert f"POST https://proget.example{base_path}{PATH}" in answer.text
    answer = await service.request(method, path, headers={"Host": "build:1234"})
    assert f"POST http://build:1234{base_path}{PATH}" in answer.text


async def test_a_stranger_cannot_make_an_answer_name_another_host(service: Service) -> None:
    answer = await service.request("GET", PATH, headers=FORWARDED)
    assert "proget.example" not in answer.text
    assert f"POST {service.url}{PATH}" in answer.text
