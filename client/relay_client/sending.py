"""What an agent says: `send`, and `schedule` to itself."""

import asyncio
from typing import Any

from relay_proto import codec
from relay_proto.frames import Body, Intent, Ok, Send, Severity, Withdraw
from relay_proto.targets import parse_target

from .calls import Calls
from .errors import refused
from .message import Receipt
from .payload import write_payload


class Sending(Calls):
    """The part of `Agent` that speaks."""

    async def send(
        self,
        to: str,
        body: Body,
        *,
        subject: str | None = None,
        channel: str | None = None,
        thread: int | None = None,
        reply_to: int | None = None,
        caused_by: int | None = None,
        intent: Intent | None = None,
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        payload: Any = None,
        key: str | None = None,
        claimable: bool = False,
        attempts: int | None = None,
        type: str | None = None,
        severity: Severity | None = None,
        offer_s: float | None = None,
        hold: bool = False,
        ttl_s: float | None = None,
        delay_s: float | None = None,
        priority: int | None = None,
        supersedes: int | None = None,
        expect_reply_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Receipt:
        """Send one message; the receipt comes after the relay has it on disk.

        - `to`: an agent id, `tag:x`, `cap:x`, `label:x`, `channel:x`, `thread:ID`, `broadcast`: all who match, but not
          oneself; `any:cap:x`, `any:tag:x`: the one who is best placed. `body`: str or bytes, at most 256 KiB.
        - `key`: the same key never makes a second message; without one it gets its own, so that sending again after a
          lost connection can't double it. `hold`: keep it for an agent id that was never seen.
        - `channel`: of a group only who subscribed to it, or to none at all, gets it. `reply_to`: joins that message's
          thread. `caused_by`: what made one write this, where it is no reply; both count hops, so that no chain of
          messages goes on for ever (HopLimit).
        - `claimable`: it is work, for exactly one of the recipients (`submit` makes a task with more to it).
          `attempts`: claims of it that may end badly before it is buried (1 to 100, default 3). `offer_s`: with any:
          what its recipient has neither acked nor claimed within this goes to the next one (default 30).
        - `payload`: any JSON value, for programs. `type` (a word), `severity` (info..critical): for who sorts by them.
        - `ttl_s`: never delivered later than this after it was accepted. `delay_s`: not before, even if the relay was
          down meanwhile. `priority`: 9 to 0, the higher comes first among what is queued; None counts as 4.
        - `supersedes`: an older message of one's own, not delivered any more where it was not yet; who has it in hand
          is told. `expect_reply_s`: a reply is owed by then. Nothing blocks; the relay tells as `events()` when it is
          overdue or not coming, and `owed()` lists it. `ask` waits for it.

        Raises TimeoutError after `timeout_s` (default: none): the message may or may not have been accepted, and only
        a send with the same explicit `key` can't double it. Else UnknownAgent (`detail["suggestions"]`), KeyConflict,
        AmbiguousTarget, InboxFull, RateLimited, StorageFull, ... With an outbox and no connection: see `Outbox`.
        """
        conversation = self._conversation
        key = conversation.next_key() if key is None else key
        try:
            frame = Send(
                id=conversation.next_id(), to=to, body=body, subject=subject, channel=channel, thread=thread,
                reply_to=reply_to, caused_by=caused_by, intent=intent, content_type=content_type, headers=headers,
                payload=write_payload(payload), key=key, ttl_s=ttl_s, delay_s=delay_s, priority=priority,
                claimable=claimable, attempts=attempts,
                type=type, severity=severity, offer_s=offer_s, supersedes=supersedes, expect_reply_s=expect_reply_s,
                waits=expect_reply_s is None, hold=hold,
            )  # fmt: skip
        except (TypeError, ValueError) as exc:
            raise refused("send", exc) from None
        data = codec.encode_checked(frame)
        parse_target(to)
        if self.outbox is not None:
            return await self.outbox.send(frame, lambda: self._send_now(frame.id, data, key, timeout_s))
        return await self._send_now(frame.id, data, key, timeout_s)

    async def schedule(
        self,
        body: Body,
        *,
        delay_s: float,
        subject: str | None = None,
        key: str | None = None,
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        thread: int | None = None,
        caused_by: int | None = None,
        priority: int | None = None,
        ttl_s: float | None = None,
        supersedes: int | None = None,
        timeout_s: float | None = None,
    ) -> Receipt:
        """A message to oneself, delivered `delay_s` seconds from now (at most 30 days): wake me later.

        It comes even if this agent and the relay were restarted meanwhile; when the agent is away then, as soon as it
        is back. `key`: setting the same alarm twice sets one. `supersedes` with the message id of an earlier one moves
        it. The rest, the answer and the errors are those of `send`.
        """
        return await self.send(
            self.name, body, delay_s=delay_s, subject=subject, key=key, content_type=content_type, headers=headers,
            thread=thread, caused_by=caused_by, priority=priority, ttl_s=ttl_s, supersedes=supersedes,
            timeout_s=timeout_s,
        )  # fmt: skip

    async def withdraw(self, message: int, *, reason: str | None = None, force: bool = False) -> None:
        """Take back a message that one sent: whoever has not dealt with it does not get it, or is told to drop it.

        What it asked for is not wanted any more: its work is canceled (the holder is told), no reply is owed. It stays
        in the ledger. Repeating it is nothing. Raises Forbidden for another's message, unless with `force`.
        """
        await self._ask(Withdraw, message=message, reason=reason, force=force)

    async def _send_now(self, id: int, data: bytes, key: str, timeout_s: float | None) -> Receipt:
        ok = await self._accepted(id, data, key, timeout_s)
        return Receipt.of(ok, key)

    async def _accepted(self, id: int, data: bytes, key: str, timeout_s: float | None) -> Ok:
        """The relay's answer to a send; TimeoutError when none came within `timeout_s`."""
        if timeout_s is None:
            return await self._link.ask(id, data)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._link.ask(id, data)
        except TimeoutError:
            raise TimeoutError(
                f"no answer to the send within {timeout_s:g} s; it may or may not have been accepted (key {key})"
            ) from None
