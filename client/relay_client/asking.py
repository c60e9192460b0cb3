"""`ask`: a request whose reply is waited for."""

import asyncio
from typing import Any, Final, Unpack

from relay_proto import codec
from relay_proto.frames import Body, Deliver, Forgive, Send
from relay_proto.targets import parse_target

from .asks import Ask
from .errors import refused
from .message import AskOptions, Message
from .payload import write_payload
from .receiving import Receiving

GRACE_S: Final = 2.0
"""Seconds beyond an ask's timeout in which the relay may still tell what it knows of who owes the reply."""


class Asking(Receiving):
    """The part of `Agent` that asks other agents."""

    async def ask(
        self, to: str, body: Body, *, timeout: float = 60.0, waits: bool | None = None, **options: Unpack[AskOptions]
    ) -> Message:
        """Send a request and wait for its reply: the first message with `reply_to` = this one that is no `ack`, from
        the agent that was asked, or from anyone where a group or any one of many was.

        The reply comes here and not out of the loop, whether one runs or not. When it is given back it has surfaced and
        is acked as done. When `ask` raises or is cancelled, a reply that still comes is a message like any other. With
        several recipients the first one to reply counts; further replies come out of the loop.

        timeout: seconds, from the call on, also while there is no connection. waits: this agent does nothing else until
        then, so that the relay finds rings of agents that ask each other (Deadlock). None: true unless another task
        runs a loop of this agent or waits in `receive()`, and so can answer what comes meanwhile. key: asking again
        with the same key (after a restart) waits for the reply to the first ask; a reply that was dealt with before
        does not come again, `thread()` shows it.

        Raises ReplyOverdue (a TimeoutError) at the timeout, or within 2 s after it: the relay tells then what it knows
        of who owes the reply. ReplyRefused at once when nobody is there to answer or everyone asked has refused;
        Deadlock (`detail["ring"]`) when it would close a ring of agents who wait for each other, or closes one later;
        else what `send` raises.
        """
        conversation = self._conversation
        task = asyncio.current_task()
        if options.get("key") is None:
            options["key"] = conversation.next_key()
        options["payload"] = write_payload(options.get("payload"))
        try:
            frame = Send(
                id=conversation.next_id(), to=to, body=body, intent="request", expect_reply_s=timeout,
                waits=not self._hands.others_read if waits is None else waits, **options,
            )  # fmt: skip
        except (TypeError, ValueError) as exc:
            raise refused("send", exc) from None
        data = codec.encode_checked(frame)
        parse_target(to)
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ask = conversation.asks.begin(frame.id, to, timeout, reply, claimable=frame.claimable)
        if frame.waits:
            self._hands.waiting.add(task)
        try:
            return Message(self, await self._reply(ask, frame, data))
        finally:
            self._hands.waiting.discard(task)

    async def _reply(self, ask: Ask[asyncio.Future[Any]], frame: Send, data: bytes) -> Deliver:
        """Say the ask, wait for what settles it: the reply, which is then acked. Whatever happens, the ask is over."""
        link, conversation = self._link, self._conversation
        reply = ask.waiter
        delivered: Deliver | None = None
        until = asyncio.get_running_loop().time() + ask.timeout_s
        try:
            async with asyncio.timeout_at(until):
                await link.ask(frame.id, data, frame)
            async with asyncio.timeout_at(until + GRACE_S):
                delivered = await reply
        except TimeoutError:
            if not reply.done() or reply.cancelled():
                raise ask.overdue_error() from None
            delivered = reply.result()  # it came in this very moment; or it raises why it will not
        except asyncio.CancelledError:
            self._forgive(ask)
            raise
        finally:
            conversation.drop_ask(ask)
            left = _result(reply)
            if delivered is not None:
                conversation.deliveries.done(delivered)
                link.flush_soon()
            elif left is not None:
                conversation.deliveries.put_back(left)
            link.wake_readers()
        if ask.recipients > 1:
            self._forgive(ask)  # one was enough
        return delivered

    async def forgive(self, message: int) -> None:
        """The replies to this message, which one asked, are not owed any more, and nobody is told when they are late.

        Raises UnknownMessage, Forbidden for the ask of another.
        """
        await self._ask(Forgive, message=message)

    def _forgive(self, ask: Ask[asyncio.Future[Any]]) -> None:
        """Nobody waits any more, so the relay is to count nobody as blocked or owing. Its answer is not waited for."""
        if ask.message is not None:
            conversation = self._link.conversation
            frame = Forgive(id=conversation.next_id(), message=ask.message)
            conversation.request(frame.id, codec.encode_frame(frame), None)
            self._link.flush_soon()


def _result(reply: "asyncio.Future[Any]") -> Deliver | None:
    """What a future holds, when it holds a reply; an error in it counts as seen."""
    if not reply.done() or reply.cancelled() or reply.exception() is not None:
        return None
    delivered: Deliver = reply.result()
    return delivered
