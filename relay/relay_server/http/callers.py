"""Those who speak over HTTP, at the desk.

A request becomes the very frames of the wire, read by the same codec and said by a visit of the agent that it names:
there is no second set of rules. A visit is a session without a socket; what the desk answers it is handed to whoever
waits for that answer, and everything else it hears (events, a bye) is dropped: streams have their own ears.

A visit is kept for the next request of the same name, so that a script that sends a thousand messages registers once.
"""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from relay_proto import frames as wire
from relay_proto.errors import RelayError, Unavailable

from ..grants import ANYONE
from ..session import Session
from . import desk

if TYPE_CHECKING:
    from ..server import Relay

CALLERS_MAX: Final = 4096
"""Visits that are kept."""
WAITING_MAX: Final = 8192
"""Requests that wait for their turn, at which more are refused: about a second of the store."""
READER: Final = "(reader)"
"""What the session is called that only looks things up. No agent can have this name, so nobody is heard by it."""


class Caller:
    """One visit, and who waits for which answer: what a session calls its wire."""

    __slots__ = ("_callers", "_next", "_waiting", "name", "session")

    def __init__(self, callers: "Callers", session: Session, name: tuple[str, str]) -> None:
        self._callers = callers
        self.name = name
        """(agent, instance): what it is kept under."""
        self._next = 1
        self._waiting: dict[int, asyncio.Future[wire.Ok]] = {}
        self.session = session

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def expect(self, loop: asyncio.AbstractEventLoop) -> "tuple[int, asyncio.Future[wire.Ok]]":
        """An id for the next frame, and what becomes of its answer."""
        re, self._next = self._next, self._next + 1
        future: asyncio.Future[wire.Ok] = loop.create_future()
        self._waiting[re] = future
        return re, future

    def forget(self, re: int) -> None:
        """Nobody waits for this answer any more."""
        self._waiting.pop(re, None)

    def flush(self) -> None:
        """Hand out what the desk said; called by the daemon after each turn."""
        for frame in desk.answers(self.session):
            future = None if frame.re is None else self._waiting.pop(frame.re, None)
            if future is not None:
                desk.settle(future, frame)
        if self.session.close is not None:
            self._callers.drop(self)
            self.fail(Unavailable("the visit was ended by the relay; ask again"))

    def fail(self, error: RelayError) -> None:
        """Nobody who waits will be answered."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error)


class Callers:
    """All visits over HTTP by (agent, instance)."""

    def __init__(self, relay: "Relay") -> None:
        self.relay = relay
        self._visits: OrderedDict[tuple[str, str], Caller] = OrderedDict()
        self._reader: Caller | None = None
        self._waiting = 0

    @property
    def is_idle(self) -> bool:
        """Nobody waits for an answer."""
        return not self._waiting

    async def ask(self, agent: str, frame: Any, instance: str | None = None) -> wire.Ok:
        """Say `frame` in the name of `agent` (its process `instance`) and give the answer. Its id is set here.

        Raises RelayError: what the codec, the desk or the store refuses.
        """
        desk.check_running(self.relay)
        return await self._say(self._visit(agent, instance or http_instance(agent)), frame)

    async def look_up(self, frame: Any) -> wire.Ok:
        """The answer to a question that needs no name. Raises RelayError.

        Also while the relay stops: what was decided is looked up to be told, and must not be called refused then.
        """
        if self._reader is None:
            self._reader = self._open(READER, (READER, ""))
            self._reader.session.agent = READER
        return await self._say(self._reader, frame)

    async def _say(self, caller: Caller, frame: Any) -> wire.Ok:
        if self._waiting >= WAITING_MAX:
            raise Unavailable(f"{self._waiting} requests are waiting already", retry_after_s=1.0)
        re, answer = caller.expect(asyncio.get_running_loop())
        frame.id = re
        self._waiting += 1
        try:
            desk.receive(self.relay, caller.session, frame)
            return await answer
        finally:
            self._waiting -= 1
            caller.forget(re)
            if self.relay.stopping:
                self.relay.wake_turns()  # it may have been the last one

    def _visit(self, agent: str, instance: str) -> Caller:
        name = (agent, instance)
        caller = self._visits.get(name)
        known = self.relay.broker.directory.get(agent)
        if caller is not None and (
            caller.session.agent is None or (known is not None and known.epoch == caller.session.epoch)
        ):  # while it is kept its name is known: open visits are counted, and no name that has one is forgotten
            self._visits.move_to_end(name)
            return caller
        if caller is not None and caller.is_idle:
            self.drop(caller)  # another instance has taken the agent over since: what is said now is of today
        caller = self._open(self.relay.next_session_name(), name)
        desk.receive(self.relay, caller.session, wire.Register(id=0, agent=agent, instance=instance, visit=True))
        self._visits[name] = caller
        self._make_room()
        return caller

    def _open(self, session_name: str, name: tuple[str, str]) -> Caller:
        session = Session(session_name, None, ANYONE)
        session.wire = caller = Caller(self, session, name)
        session.visiting = True
        return caller

    def _make_room(self) -> None:
        while len(self._visits) > CALLERS_MAX:
            name, oldest = next(iter(self._visits.items()))
            if not oldest.is_idle:
                self._visits.move_to_end(name)
                return
            self.drop(oldest)

    def drop(self, caller: Caller) -> None:
        """This visit is over."""
        if self._visits.get(caller.name) is caller:
            del self._visits[caller.name]
        self.relay.broker.lost(caller.session)

    def close(self) -> None:
        """The relay has ended: nobody who still waits will be answered."""
        for caller in (*self._visits.values(), *([self._reader] if self._reader else [])):
            caller.fail(desk.stopping())


def http_instance(agent: str) -> str:
    """The instance of an agent that does not name one over HTTP: always the same, so that its epoch stays."""
    return f"http/{agent}"[:128]
