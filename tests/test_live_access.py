"""What others change in the database is noticed soon, whatever else is asked of it, and nothing is read needlessly."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from conftest import Service
from waiting import until

from deployserver.api_keys import revoke_key
from deployserver.live_access import LiveAccess
from deployserver.storage import database
from deployserver.storage.repository import Repository


@pytest.mark.every_engine
async def test_slow_questions_do_not_keep_a_revoked_key_working(service: Service) -> None:
    """As many of them as may be asked at once."""
    store = database(service.settings)
    await store.open()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        access = await stack.enter_async_context(LiveAccess(store))
        for _ in range(4):
            await stack.enter_async_context(store.records())
        await revoke_key(service.admin, 1)

        async def is_seen() -> bool:
            return access.current.keys[1].revoked_at is not None

        await until(is_seen)


async def test_nothing_is_read_while_nobody_commits(service: Service) -> None:
    store = database(service.settings)
    await store.open()
    try:
        assert await store.changed(0)
        async with store.watched() as repository:
            await repository.revision()
        assert [await store.changed(0) for _ in range(3)] == [False] * 3
        await revoke_key(service.admin, 1)
        assert [await store.changed(0) for _ in range(2)] == [True, False]
        await store.probe()
        assert await store.changed(0)
    finally:
        await store.close()


async def test_what_could_not_be_read_is_read_later(service: Service) -> None:
    """Though nobody has changed anything since."""
    readings = 0

    async def read(_: Repository) -> None:
        nonlocal readings
        readings += 1
        if readings == 2:
            raise RuntimeError

    store = database(service.settings)
    await store.open()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        await stack.enter_async_context(LiveAccess(store, read))

        async def is_read_again() -> bool:
            return readings == 3

        await until(is_read_again)
