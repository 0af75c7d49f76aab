"""When each API key was last used."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import KEY, RECORD, Service, running, settings_of

from deployserver.api_keys import create_key, revoke_key
from deployserver.key_usage import KeyUsage


async def last_used(service: Service, key_id: int = 1) -> int | None:
    return (await service.admin.access()).keys[key_id].last_used_at


async def test_a_key_shows_its_last_use_after_the_server_has_stopped(tmp_path: Path) -> None:
    """Administrators find forgotten keys by it; nothing of it is lost when the server is told to stop."""
    settings = settings_of(tmp_path)
    times = [1_700_000_000_000_000]

    async with running(settings, clock=lambda: times[-1]) as service:
        assert (await service.post(RECORD)).status == 200
        times.append(times[-1] + 60_000_000)
        assert (await service.post(RECORD)).status == 200
        assert await last_used(service) is None  # not written with every request
    async with running(settings) as service:
        assert await last_used(service) == times[-1]


async def test_a_refused_request_with_a_right_key_is_a_use_too(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with running(settings) as service:
        assert (await service.post({"FeedName": "x"})).status == 400
    async with running(settings) as service:
        assert await last_used(service) is not None


async def test_a_wrong_key_uses_none(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with running(settings) as service:
        await revoke_key(service.admin, 1)
    async with running(settings) as service:
        assert {(await service.post(RECORD, key=key)).status for key in (KEY, "wrong", None)} == {403}
    async with running(settings) as service:
        assert await last_used(service) is None


@pytest.mark.every_engine
async def test_the_latest_use_counts_whoever_writes_last(service: Service) -> None:
    """Of two servers on one database, the one that writes later may have seen the earlier use."""
    await create_key(service.admin, "system")
    async with KeyUsage(service.store) as usage:
        usage.used(1, 2000)
        usage.used(2, 500)
        usage.used(1, 3000)
    assert (await last_used(service, 1), await last_used(service, 2)) == (3000, 500)
    async with KeyUsage(service.store) as usage:
        usage.used(1, 1000)
        usage.used(99, 1000)
    assert await last_used(service) == 3000


async def test_a_use_that_could_not_be_written_is_written_later(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    away = service.store.path.with_suffix(".away")
    async with KeyUsage(service.store) as usage:
        usage.used(1, 1000)
        service.store.path.rename(away)
        await usage.write()
        assert "when API keys were last used could not be written" in caplog.text
        usage.used(1, 2000)
        away.rename(service.store.path)
    assert await last_used(service) == 2000


@pytest.mark.every_engine
async def test_a_use_is_no_change_that_servers_must_read(service: Service) -> None:
    before = (await service.admin.access()).revision
    async with KeyUsage(service.store) as usage:
        usage.used(1, 1000)
    assert (await service.admin.access()).revision == before
