"""A server for tests: the real one, in memory, to be seeded, asked what it received, and broken on purpose.

``DeployServer`` starts it on a thread of its own. In pytest, the fixture ``proget`` gives one for each test::

    def test_the_release_script_reports_what_it_deployed(proget):
        proget.add_feed("DefaultNuGet")
        key = proget.add_key(feed="DefaultNuGet")
        run_release_script(url=proget.url, api_key=key)
        proget.assert_deployed(package="Newtonsoft.Json", version="12.0.3", target="web01")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployserver.double.clock_handle import Clock
from deployserver.double.faults.fault import ActiveFault
from deployserver.double.faults.schema import load_fault
from deployserver.double.journal import Answer, ReceivedRequest
from deployserver.double.recorded import RecordedDeployment
from deployserver.double.seeding import read_document
from deployserver.double.settings import double_settings
from deployserver.double.thread import ServerThread
from deployserver.double.tracebacks import plainly
from deployserver.double.world import Beginning
from deployserver.double.world_handle import WorldHandle

__all__ = ["ActiveFault", "Answer", "Clock", "DeployServer", "ReceivedRequest", "RecordedDeployment", "WorldHandle"]

__tracebackhide__ = True  # in pytest, a failure is shown where a test called us


class DeployServer(WorldHandle):
    """A server of one's own, between ``start`` and ``stop`` or in a ``with`` or ``async with`` block.

    ``state`` is what it begins with: a document as ``load`` takes it, or the path of a file that has one; ``faults``
    are what is to go wrong from the beginning, as documents. Port 0 is one that is free; a server that is started again
    has the port that it had. Raises ConfigurationError for a bad port, InvalidRequest for a bad fault.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        state: Mapping[str, Any] | Path | str | None = None,
        faults: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        beginning = _beginning(state, faults)
        super().__init__(plainly(lambda: ServerThread(double_settings(host, port), beginning)), None)

    @classmethod
    def _renewed(
        cls, thread: ServerThread, state: Mapping[str, Any] | Path | str, faults: Iterable[Mapping[str, Any]]
    ) -> Self:
        """Return what stands for a new world at the root of a server that somebody else has started, and will stop."""
        beginning = _beginning(state, faults)
        server = cls.__new__(cls)
        WorldHandle.__init__(server, thread, plainly(lambda: thread.renew(beginning)))
        return server

    def _received(self) -> list[ReceivedRequest]:
        """Return the requests, also when the server has ended."""
        return list(self._world.journal) if self._world is not None else []

    def start(self) -> Self:
        """Return when connections are accepted.

        Raises ConfigurationError if the address is taken, InvalidRequest for a bad state, and RuntimeError if the
        server is running already.
        """
        plainly(self._thread.start)
        self._world = self._thread.worlds.root
        return self

    def stop(self) -> None:
        """End, with all that was recorded and received: clients find nobody at the address, until ``start``.

        What is under way is broken off. Nothing happens if the server is not running.
        """
        self._thread.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def namespace(self, name: str) -> WorldHandle:
        """Return the world below ``/ns/NAME/`` of this server, made if it is new: nothing is shared but the port.

        It begins with what the server began with. Raises InvalidValue for what cannot be a name.
        """
        _ = self._open_world
        return WorldHandle(self._thread, self._call(lambda: self._thread.worlds.namespace(name)))


def _beginning(state: Mapping[str, Any] | Path | str | None, faults: Iterable[Mapping[str, Any]]) -> Beginning:
    return plainly(lambda: Beginning(read_document(state), [load_fault(fault) for fault in faults]))
