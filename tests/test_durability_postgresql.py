"""What was answered with 200 is in PostgreSQL, whatever happens to the server, the database or what is between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import postgres
import pytest
from conftest import KEY
from postgres import Cluster
from processes import Installation, Load, Server, check, closing, fetched, health, post, until

Install = Callable[..., Installation]


@pytest.fixture(scope="module")
def durable() -> Iterator[Cluster]:
    """A PostgreSQL server that syncs, and that may be killed."""
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    with postgres.cluster(durable=True) as running:
        yield running


@pytest.fixture(scope="module")
def prepared(durable: Cluster, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with the feed DefaultNuGet and the key abc12345, to be copied."""
    asyncio.run(durable.execute("CREATE DATABASE prepared"))
    url = durable.url("prepared")
    Installation(tmp_path_factory.mktemp("prepared"), database={"url": url}).prepare()
    return "prepared"


@pytest.fixture
async def url(durable: Cluster, prepared: str) -> str:
    return durable.url(await durable.make(prepared))


@pytest.fixture
async def install(tmp_path: Path, url: str) -> AsyncIterator[Install]:
    """Make installations on the same database."""
    made: list[Installation] = []

    def make(**database: object) -> Installation:
        installation = Installation(tmp_path / str(len(made)), database={"url": url} | database)
        made.append(installation)
        return installation

    async with closing(made):
        yield make


async def checked(url: str, *loads: Load) -> None:
    """See that what was acknowledged is there once, what was refused is not, and that ids have no gaps."""
    await asyncio.to_thread(check, url, *loads)
    ids = [row["id"] for row in await asyncio.to_thread(fetched, url, "SELECT id FROM deployments ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))


async def test_a_server_killed_under_load_has_kept_every_acknowledged_record(install: Install, url: str) -> None:
    """A 200 is a promise that a crash right after it cannot break: the record is there once, whole, with its id."""
    installation = install()
    loads = []
    for number in range(2):
        server = await installation.serve()
        async with Load(server.url, f"round{number}") as load:
            await load.reached(150)
            await server.kill()
        loads.append(load)
        assert load.refused == []
        assert server.unexpected() == []
    await checked(url, *loads)


@pytest.mark.parametrize("how", ["kill", "immediate", "fast"])
async def test_a_postgresql_that_dies_under_load_costs_no_acknowledged_record(
    install: Install, url: str, durable: Cluster, how: str
) -> None:
    """Meanwhile all is refused with 503; when it is back, the server goes on by itself."""
    server = await install(busy_timeout=0.3).serve()
    async with Load(server.url, "load") as load:
        await load.reached(100)
        await asyncio.to_thread(durable.kill if how == "kill" else lambda: durable.stop(how))
        await until(lambda: _is_ill(server))
        async with Load(server.url, "meanwhile") as meanwhile:  # of the others, nobody may know whether they are stored
            await until(lambda: len(meanwhile.refused) > 100)
            answer = await post(server, "away")
            assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)
            await asyncio.to_thread(durable.start_again)
            await until(lambda: _is_well(server))
            await meanwhile.reached(100)
    assert meanwhile.unanswered == []
    assert meanwhile.statuses == {503}
    assert load.statuses <= {503}
    await server.stop()
    assert server.unexpected() == []
    await checked(url, load, meanwhile)


async def test_a_postgresql_that_is_restarted_costs_no_record_at_all(
    install: Install, url: str, durable: Cluster
) -> None:
    """A batch that was on its way waits for it; those after it are refused until it is back, or wait too."""
    server = await install().serve()
    async with Load(server.url, "load") as load:
        await load.reached(100)
        await asyncio.to_thread(durable.stop, "immediate")
        await asyncio.to_thread(durable.start_again)
        await load.reached(100)
    assert load.unanswered == []
    await server.stop()
    await checked(url, load)


async def test_connections_that_an_administrator_ends_under_load_are_opened_again(
    install: Install, url: str, durable: Cluster
) -> None:
    """pg_terminate_backend costs nobody anything: the database is there, only the connection is not."""
    server = await install().serve()
    async with Load(server.url, "load") as load:
        for _ in range(20):
            await load.reached(20)
            await durable.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{url.rpartition('/')[2]}' AND application_name = 'deployserver'"
            )
        await load.reached(20)
    assert load.refused == []
    assert load.unanswered == []
    await server.stop()
    assert server.unexpected() == []
    await checked(url, load)


async def test_two_servers_share_one_database(install: Install, url: str) -> None:
    """Both record, no id is given twice, ids rise with what comes after, and a revoked key stops working in both."""
    installation, other = install(), install()
    servers = [await installation.serve(), await other.serve()]
    async with Load(servers[0].url, "one", clients=8) as one, Load(servers[1].url, "two", clients=8) as two:
        await one.reached(100)
        await two.reached(100)
        first = (await post(servers[0], "first")).json["Id"]
        assert (await post(servers[1], "second")).json["Id"] > first
        assert (await installation.run("key", "revoke", "1")).code == 0
        async with asyncio.timeout(5):  # the promise is one second; the rest is for a busy machine
            await asyncio.gather(*(until(lambda server=server: _is_forbidden(server)) for server in servers))
    assert one.statuses | two.statuses <= {403}
    await checked(url, one, two)
    for server in servers:
        assert server.unexpected() == []


async def test_servers_that_start_together_migrate_once(install: Install, durable: Cluster) -> None:
    """Of four on one empty database, one makes the tables and the others wait for it."""
    url = durable.url(await durable.make())
    installations = [install(url=url) for _ in range(4)]
    done = await asyncio.gather(*(installation.run("migrate") for installation in installations))
    assert [finished.code for finished in done] == [0] * 4, done
    assert sum("applied 0001_initial" in finished.out for finished in done) == 1
    assert sum("nothing to apply" in finished.out for finished in done) == 3


async def _is_well(server: Server) -> bool:
    return (await health(server)).status == 200


async def _is_ill(server: Server) -> bool:
    return (await health(server)).status == 500


async def _is_forbidden(server: Server) -> bool:
    return (await post(server, "probe", key=KEY)).status == 403
