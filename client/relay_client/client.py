"""`connect`: from a URL and a name to a registered agent."""

import asyncio
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Literal

from relay_proto import codec, limits
from relay_proto.errors import BadRequest
from relay_proto.frames import Register, Status, Will

from .address import parse_url
from .agent import Agent
from .calls import names
from .conversation import REGISTER_ID, Conversation
from .errors import refused
from .link import Link
from .settings import TOKEN_PATTERN, resolve


class connect:
    """`async with connect(url, agent="builder") as agent`: a registered agent, closed at the end of the block.

    url: http(s):// or ws(s)://; an empty path becomes /ws. agent: its id, 1-128 characters of A-Z a-z 0-9 . _ - @ /.
    token: what the relay was started with, or gave out; False for none. Of these two, what is left out is looked for as
    the commands do (`relay_client.settings`: RELAY_URL, RELAY_TOKEN, RELAY_TOKEN_FILE, a profile; else
    http://localhost:4850): that may be another profile's than the URL, so who has resolved settings gives both. label,
    tags, caps, channels, machine, meta, status: what others see and find it by. instance: names this process; the same
    instance keeps its epoch and its claims, another one takes the agent over (default: a new one for each call).
    credit: deliveries it takes unacked. visit: only send and ask; it gets no messages, replaces no live session and is
    no member of any group (for scripts). will: its last word, a `Will` or a mapping with `to`, `body` and perhaps
    `subject`, `channel`: the relay sends it from this agent when that falls silent (120 s) without having closed; a
    later `connect` without one takes it back. reconnect: make lost connections again, and try a first connection until
    `connect_timeout_s`; without it there is one attempt, and a lost connection ends the agent with Disconnected.
    outbox: the path of a file in which sends wait while no relay can be reached (`Outbox`); entering then tries once,
    for at most `connect_timeout_s`, and gives an agent that is not connected yet if there is no relay.

    Raises BadRequest at once for an argument that is wrong, SettingsError for a setting; when entered Unreachable,
    Unauthorized, or whatever else the relay answers to register; OutboxInUse, OutboxUnusable.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        agent: str,
        token: str | Literal[False] | None = None,
        label: str | None = None,
        tags: Iterable[str] = (),
        caps: Iterable[str] = (),
        channels: Iterable[str] = (),
        machine: str | None = None,
        meta: Mapping[str, Any] | None = None,
        status: Status | None = None,
        instance: str | None = None,
        credit: int = limits.CREDIT_DEFAULT,
        visit: bool = False,
        will: Will | Mapping[str, Any] | None = None,
        connect_timeout_s: float = 10.0,
        reconnect: bool = True,
        outbox: str | os.PathLike[str] | None = None,
    ) -> None:
        if url is not None:
            parse_url(url)  # what was given here is refused as an argument, not as a setting
        if token is not None and token is not False and not (isinstance(token, str) and re.match(TOKEN_PATTERN, token)):
            raise BadRequest(f"token must be 1-{limits.TOKEN_CHARS_MAX} printable characters without spaces")
        if url is None or token is None:
            settings = resolve(flags={"url": url, "token": token or None})
            url, token = settings.url, settings.token if token is None else token
        try:
            self._register = Register(
                id=REGISTER_ID,
                agent=agent,
                label=label,
                tags=names("tags", tags) or None,
                caps=names("caps", caps) or None,
                channels=names("channels", channels) or None,
                machine=machine,
                meta=None if meta is None else dict(meta),
                status=status,
                instance=secrets.token_hex(16) if instance is None else instance,
                credit=credit,
                visit=visit,
                will=will if will is None or isinstance(will, Will) else Will(**will),
            )
        except (TypeError, ValueError) as exc:
            raise refused("register", exc) from None
        codec.encode_checked(self._register)
        self._address = parse_url(url)
        self._token = token or None
        self._connect_timeout_s = connect_timeout_s
        self._reconnect = reconnect
        self._outbox = _outbox_path(outbox, reconnect)
        self._agent: Agent | None = None

    async def __aenter__(self) -> Agent:
        conversation: Conversation[asyncio.Future[Any]] = Conversation(self._register, _key_prefix())
        if self._outbox is None:
            link = Link(conversation, self._address, self._token, self._reconnect)
            await link.open(self._connect_timeout_s)
            self._agent = Agent(link)
        else:
            from .outbox import open_with_outbox  # only here: most agents have none, and SQLite costs an import

            link, outbox = await open_with_outbox(
                self._outbox, conversation, self._address, self._token, self._connect_timeout_s
            )
            self._agent = Agent(link, outbox)
        return self._agent

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._agent is not None
        await self._agent.__aexit__(kind, exc, traceback)


def _outbox_path(outbox: str | os.PathLike[str] | None, reconnect: bool) -> str | None:
    if outbox is None:
        return None
    path = os.fspath(outbox) if isinstance(outbox, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise BadRequest(f"outbox is {outbox!r:.200}; expected the path of a file")
    if not reconnect:
        raise BadRequest("reconnect is False; an outbox needs it: what waits leaves with a later connection")
    return path


def _key_prefix() -> str:
    """What the automatic keys of one Agent object begin with: never used before, and ordered by time.

    Not the instance: a caller may give the same one in each run, and the counter behind it begins again.
    """
    return f"{time.time_ns() // 1_000_000:011x}-{secrets.token_hex(8)}"
