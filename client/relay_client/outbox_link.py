"""The link of an agent with an outbox: it may begin without a relay, and tells when its connection comes and goes."""

from collections.abc import Callable

from relay_proto.errors import RelayError

from .ending import may_try_again
from .errors import Unreachable
from .link import Link, logger


def _nobody() -> None:
    """Nobody wants to know."""


class OutboxLink(Link):
    """A Link whose first connection may come later.

    changed: called whenever a connection was registered or lost, and when the link has ended. It must not raise.
    """

    changed: Callable[[], None] = staticmethod(_nobody)

    async def open(self, timeout_s: float) -> None:
        """Try once to connect and register, for at most `timeout_s`; without a relay go on trying in the background.

        Raises what another attempt will not change: Unreachable for an address that is no relay's, Unauthorized, ...
        """
        self._reconnect = False  # for one attempt; the keeper reads it only when that connection is lost
        try:
            await super().open(timeout_s)
        except Unreachable as exc:
            if not may_try_again(exc):
                raise
            logger.warning("%s starts without a relay, what it sends waits in its outbox: %s", self._name, exc)
            self._keeper = self._loop.create_task(self._keep(None), name=f"relay link of {self._name}")
        finally:
            self._reconnect = True

    async def _connect(self) -> None:
        await super()._connect()
        self.changed()

    def _forget_connection(self) -> None:
        super()._forget_connection()
        self.changed()

    def _end(self, error: RelayError) -> None:
        super()._end(error)
        self.changed()
