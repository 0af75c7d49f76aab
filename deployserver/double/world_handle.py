"""A world as tests in Python see it: to be seeded, asked what it received, and broken on purpose."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from deployserver.double.clock_handle import Clock
from deployserver.double.expectations.checks import check_deployed, check_not_deployed, check_requested
from deployserver.double.expectations.expectation import Criteria, Expectation, RequestExpectation, Text
from deployserver.double.faults.fault import ActiveFault, Effect
from deployserver.double.faults.options import FaultOptions
from deployserver.double.faults.schema import load_fault
from deployserver.double.journal import Journal, ReceivedRequest
from deployserver.double.recorded import RecordedDeployment, recorded
from deployserver.double.recordings.recording import dump_recording, recording_document
from deployserver.double.seeding import Seeding
from deployserver.double.thread import is_on_event_loop
from deployserver.double.tracebacks import plainly
from deployserver.errors import InvalidValue
from deployserver.models import Deployment

__tracebackhide__ = True  # in pytest, a failure is shown where a test called us

_LOOK_SECONDS = 0.02


class WorldHandle(Seeding):
    """What can be done with a server that runs, or with a namespace of it.

    The methods may be called from any thread, and from synchronous and asynchronous tests alike: none takes longer than
    some milliseconds, but for those that are told to wait (``within``). They raise RuntimeError while the server is not
    running, and errors of ``deployserver.errors`` for what makes no sense.
    """

    @property
    def deployments(self) -> list[RecordedDeployment]:
        """All deployments, in the order in which they were recorded."""
        return [recorded(deployment) for deployment in self._call(self._open_world.deployments)]

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All requests, in the order in which they arrived; also those that were refused, or that a fault has hit."""
        world = self._open_world

        async def received() -> list[ReceivedRequest]:
            return list(world.journal)

        return self._call(received)

    def clear_requests(self) -> None:
        """Forget the requests, and keep what was recorded."""
        world = self._open_world

        async def clear() -> None:
            world.journal.clear()

        self._call(clear)

    def save_recording(self, path: Path | str) -> None:
        """Write the requests and their answers to a file, which ``deployserver replay`` sends to another server.

        People can read it, and no credential is in it. Raises OSError.
        """
        Path(path).write_text(dump_recording(recording_document(self.requests)), "utf-8")

    def assert_deployed(self, *, times: int | None = None, within: float = 0, **criteria: Unpack[Criteria]) -> None:
        """Fail unless a deployment with all these properties has been recorded, at least once or ``times`` times.

        A property is given as the text that it is to be, a compiled pattern that is to be found in it, or a function
        that says whether it is right. The error shows what came nearest, and what became of it.

        ``within`` is how many seconds it may still take to arrive; until then this waits. What is tested may need the
        event loop that an asynchronous test runs on, so there RuntimeError is raised, and waiting is done like this::

            await asyncio.to_thread(proget.assert_deployed, package="Newtonsoft.Json", within=5)
        """
        expectation = plainly(lambda: Expectation(times=times, **criteria))
        self._require(
            lambda deployments, journal: check_deployed(expectation, deployments, journal, base_url=self.url),
            within,
        )

    def assert_not_deployed(self, **criteria: Unpack[Criteria]) -> None:
        """Fail if a deployment with all these properties has been recorded; without any, if there is one at all."""
        expectation = plainly(lambda: Expectation(**criteria))
        self._require(lambda deployments, journal: check_not_deployed(expectation, deployments, journal))

    def assert_requested(
        self,
        *,
        method: str | None = None,
        path: Text | None = None,
        status: int | Callable[[int], object] | None = None,
        header: Mapping[str, Text | None] | None = None,
        times: int | None = None,
        within: float = 0,
    ) -> None:
        """Fail unless such a request has arrived, at least once or ``times`` times, whatever was answered.

        ``path`` is without the query. ``header`` has what headers are to be, by their names; None is for one that is
        not to be there. ``status`` is that of the answer. ``within`` is as for ``assert_deployed``.
        """
        expectation = plainly(
            lambda: RequestExpectation(method=method, path=path, status=status, header=header, times=times)
        )
        self._require(lambda _, journal: check_requested(expectation, journal), within)

    def add_fault(self, do: Effect, **options: Unpack[FaultOptions]) -> ActiveFault:
        """Let something go wrong from now on, and return it: its ``hits`` are how often it did.

        ``do`` is ``answer`` (with ``status``), ``reset``, ``close``, ``hang``, ``cut``, ``dribble``, ``garbage`` or
        ``delay``; the options say with which requests and how often: ``add_fault("answer", status=503, first=2)``. See
        ``deployserver.double.faults.fault.Fault``. Raises InvalidRequest for what makes no sense.
        """
        fault = plainly(lambda: load_fault({"do": do, **options}))
        world = self._open_world

        async def add() -> ActiveFault:
            return world.faults.add(fault)

        return self._call(add)

    @property
    def faults(self) -> list[ActiveFault]:
        """The faults there are, in the order in which they are asked."""
        return list(self._open_world.faults)

    def remove_fault(self, fault: ActiveFault) -> None:
        """Let one of ``faults`` happen no more. Raises NotFound, and InvalidValue for what is no fault."""
        if not isinstance(fault, ActiveFault):
            raise InvalidValue(f"What is removed is a fault, as add_fault has returned it, not {fault!r}.")
        world = self._open_world

        async def remove() -> None:
            world.faults.remove(fault.id)

        self._call(remove)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        world = self._open_world

        async def clear() -> None:
            world.faults.clear()

        self._call(clear)

    @property
    def clock(self) -> Clock:
        """The server's clock, to be frozen and moved."""
        return Clock(self._open_world.clock)

    def _require(self, check: Callable[[Sequence[Deployment], Journal], str | None], within: float = 0) -> None:
        """Check until nothing is amiss or the time is over. It is done here: criteria may be functions of the test."""
        if within > 0 and is_on_event_loop():
            raise RuntimeError(
                "within= would hold up the event loop of this test, and with it what is tested, if it runs there too. "
                "Wait in a thread: await asyncio.to_thread(proget.assert_deployed, ..., within=...)"
            )
        world = self._open_world

        async def look() -> tuple[Sequence[Deployment], Journal]:
            return await world.deployments(), world.journal.copy()

        deadline = time.monotonic() + within
        while (message := check(*self._call(look))) is not None:
            if time.monotonic() >= deadline:
                raise AssertionError(message)
            time.sleep(_LOOK_SECONDS)
