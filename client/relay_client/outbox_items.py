"""What an outbox gives back and raises: the receipt of a queued send, the messages it holds, its errors."""

from typing import ClassVar

from relay_proto.errors import RelayError
from relay_proto.frames import Send

from .message import Receipt
from .outbox_rules import read_send


class OutboxInUse(RelayError):
    """Another agent object has this outbox open, in this process or another. detail: path, pid (None if unknown)."""

    code = "outbox_in_use"
    meaning = "An outbox has one owner at a time, and this one has another."


class OutboxFull(RelayError):
    """The outbox is at its limit, or its disk is full: this message was not queued. detail: path."""

    code = "outbox_full"
    meaning = "The outbox has no room for the message; it was not queued."
    retryable = True


class OutboxUnusable(RelayError):
    """The file is no outbox, another agent's, a newer version's, damaged, or can't be read or written. detail: path."""

    code = "outbox_unusable"
    meaning = "The outbox can't be used."


class PendingSend:
    """A message that waits in an outbox.

    key: its key at the relay. queued_at: when it was sent, ms since 1970. place: grows in the order of the sends.
    """

    __slots__ = ("data", "key", "place", "queued_at")

    def __init__(self, place: int, key: str, queued_at: int, data: bytes) -> None:
        self.place = place
        self.key = key
        self.queued_at = queued_at
        self.data = data

    @property
    def frame(self) -> Send:
        """What was sent: to, body, subject, .. as the caller gave them. Raises BadFrame when the file was damaged."""
        return read_send(self.data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key!r}, queued_at={self.queued_at}, {len(self.data)} bytes)"


class RefusedSend(PendingSend):
    """A message that the relay refused for good (or whose ttl ended: code `expired`).

    code, message: the relay's, or the client's own. refused_at: ms since 1970.
    """

    __slots__ = ("code", "message", "refused_at")

    def __init__(
        self, place: int, key: str, queued_at: int, data: bytes, code: str, message: str, refused_at: int
    ) -> None:
        super().__init__(place, key, queued_at, data)
        self.code = code
        self.message = message
        self.refused_at = refused_at

    def __repr__(self) -> str:
        return f"RefusedSend({self.key!r}, {self.code}: {self.message!r})"


class Queued(Receipt):
    """The receipt of a send that waits in the outbox: it is on this machine's disk, and not at the relay yet.

    key: the one it will leave with; a send with the same key can't double it. queued_at: when it was sent, ms since
    1970; the recipients find it as text in the header `relay-queued-at`. path: the outbox file. position: its place in
    the line when it was queued, 1 leaves next. message, thread, recipients and online are 0: the relay gives them when
    it has the message. Tell it from a Receipt by `receipt.queued`.
    """

    __slots__ = ("path", "position", "queued_at")
    queued: ClassVar[bool] = True

    def __init__(self, key: str, queued_at: int, path: str, position: int) -> None:
        super().__init__(0, 0, 0, 0, False, key)
        self.queued_at = queued_at
        self.path = path
        self.position = position

    def __repr__(self) -> str:
        return f"Queued({self.key!r}, position={self.position} in {self.path})"
