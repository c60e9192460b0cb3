"""Frames to the desk and back, for sessions without a socket: the way they all go."""

import asyncio
from typing import TYPE_CHECKING, Any

from relay_proto import frames as wire
from relay_proto.codec import decode_client_batch, decode_relay_batch, encode_checked, join_frames
from relay_proto.errors import Unavailable, error_for

if TYPE_CHECKING:
    from ..server import Relay
    from ..session import Session


def receive(relay: "Relay", session: "Session", frame: Any) -> None:
    """Say a frame at the desk, as if it had come over a socket. Raises BadRequest, TooLarge: what the codec refuses."""
    batch: list[Any] = decode_client_batch(join_frames((encode_checked(frame),)))
    relay.broker.receive(session, batch, relay.now())
    relay.wake()


def answers(session: "Session") -> "list[wire.Ok | wire.Error]":
    """What the desk has answered this session since it was asked last; what else it was told is dropped."""
    frames, session.frames = session.frames, []
    heard = [decode_relay_batch(join_frames((data,)))[0] for data in frames]
    return [frame for frame in heard if isinstance(frame, (wire.Ok, wire.Error))]


def settle(future: "asyncio.Future[wire.Ok]", frame: "wire.Ok | wire.Error") -> None:
    """Hand an answer to who waits for it, if anybody still does."""
    if future.done():
        return
    if isinstance(frame, wire.Ok):
        future.set_result(frame)
    else:
        future.set_exception(
            error_for(frame.code, frame.message, retry_after_s=frame.retry_after_s, detail=frame.detail)
        )


def check_running(relay: "Relay") -> None:
    """Raises Unavailable when nothing new is taken any more."""
    if relay.stopping:
        raise stopping()


def stopping() -> Unavailable:
    """The answer of a relay that ends."""
    return Unavailable("the relay is stopping", retry_after_s=1.0)
