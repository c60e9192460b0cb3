"""The relay's events over HTTP, as `relay tail` reads them: a stream that goes on by itself when it was lost.

    GET /api/events, Last-Event-ID: 5f2c9a-41        ->  Heard("message.new", {...}, "5f2c9a-42")

Rules
- The id of what was heard last is said when the stream is opened again: nothing is told twice, and what was missed
  meanwhile is told, or is a `gap`.
- Not there at first is an error at once; not there any more is tried again for ever, and said once.
- The relay says at least every 15 s that it is there. Silence for SILENCE_S is a lost connection.
"""

import asyncio
import json
import urllib.parse
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from relay_proto.errors import Forbidden, RelayError, UnknownMessage, error_for

from ..address import Address, parse_url
from ..errors import Unreachable
from ..unreachable import unreachable
from .door import Door, jittered
from .escape import escape

if TYPE_CHECKING:
    import httpx

SILENCE_S: Final = 45.0
"""Three signs of life that did not come."""
AGAIN_PAUSE_S: Final = (0.1, 2.0)
"""First and largest pause before the stream is opened again."""
LINE_BYTES_MAX: Final = 4 * 1024 * 1024
"""No event is as long: bodies and payloads have 256 KiB, and JSON makes six of a byte at most."""
FOR_NOW: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which it is worth trying again."""
REFUSED_BYTES_MAX: Final = 64 * 1024
"""Read of an answer that is no stream: enough for any error of ours."""


class Heard(NamedTuple):
    """One event. `data`: its JSON. `id`: what to go on behind."""

    kind: str
    data: dict[str, Any]
    id: str


def api_url(url: str) -> str:
    """Where the HTTP API of the relay at this address begins: `http://host:4850`. Raises BadRequest."""
    address = parse_url(url)
    parts = urllib.parse.urlsplit(address.uri)
    return f"{'https' if address.secure else 'http'}://{parts.netloc}{parts.path.removesuffix('/ws')}"


def client(door: Door) -> "httpx.AsyncClient":
    """For the HTTP API of the door's relay, with its token. No proxy of the environment comes between."""
    import httpx

    headers = {"Authorization": f"Bearer {door.token}"} if door.token is not None else {}
    timeout = httpx.Timeout(door.timeout_s, read=max(SILENCE_S, door.timeout_s))
    return httpx.AsyncClient(base_url=api_url(door.url), headers=headers, timeout=timeout, trust_env=False)


class Parser:
    """Bytes of server-sent events in, events out."""

    def __init__(self) -> None:
        self.id = ""
        """The last id that was said, with an event or by itself."""
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[Heard]:
        """The events that are whole now. Raises ValueError for what is no stream of ours."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise ValueError(f"a line of more than {LINE_BYTES_MAX} bytes")
        for line in lines:
            if line:
                self._take(line.decode())
            elif self._data:
                kind, text = self._kind, "\n".join(self._data)
                self._kind, self._data = "", []
                content = json.loads(text)
                yield Heard(kind or "message", content if isinstance(content, dict) else {}, self.id)
            else:
                self._kind = ""

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._kind = value
            case "data":
                self._data.append(value)
            case "id":
                self.id = value


class Stream:
    """The events of one relay, from now on or from behind the event `after`, for ever; of one agent, or of all.

    `say` is told, in a line, when the stream is lost and when it is there again.
    """

    def __init__(
        self, http: "httpx.AsyncClient", door: Door, agent: str | None, after: str | None, say: Callable[[str], None]
    ) -> None:
        self._http = http
        self._door = door
        self._agent = agent
        self._after = after
        self._say = say
        self._was_there = self._is_lost = False
        self._pauses = jittered(*AGAIN_PAUSE_S)

    async def events(self) -> AsyncGenerator[Heard, None]:
        """Each event; `hello` is the first one, also after each loss.

        Raises RelayError: what the relay refused for good, and Unreachable when it is not there at first.
        """
        import httpx

        while True:
            try:
                async with aclosing(self._once()) as heard_once:
                    async for heard in heard_once:
                        yield heard
                why = "the relay ended it"
            except (httpx.RequestError, ValueError) as exc:
                why = str(exc) or type(exc).__name__
            except RelayError as exc:
                if not self._was_there or exc.detail["status"] not in FOR_NOW:
                    raise
                why = exc.message
            if not self._was_there:
                raise not_there(self._door.url, "/api/events", why)
            if not self._is_lost:
                self._say(f"the stream is lost ({escape(why)}); connecting again")
            self._is_lost = True
            await asyncio.sleep(next(self._pauses))

    async def _once(self) -> AsyncGenerator[Heard, None]:
        """The events of one response. Raises RelayError when it is none of events."""
        parser = Parser()
        async with self._opened() as response:
            if response.status_code != 200:
                raise await refusal(response)
            async for data in response.aiter_bytes():
                for heard in parser.feed(data):
                    if heard.kind == "hello":
                        self._is_there()
                    yield heard
                    self._after = heard.id or self._after
                self._after = parser.id or self._after  # a sign of life moves it on

    def _is_there(self) -> None:
        self._was_there, self._pauses = True, jittered(*AGAIN_PAUSE_S)
        if self._is_lost:
            self._is_lost = False
            self._say("connected again")

    def _opened(self) -> "AbstractAsyncContextManager[httpx.Response]":
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._after} if self._after else {})
        params = {"for": self._agent} if self._agent is not None else {}
        return self._http.stream("GET", "/api/events", params=params, headers=headers)


def not_there(url: str, path: str, why: str) -> Unreachable:
    """The error for a relay whose API did not answer."""
    address = parse_url(url)
    tried = Address(address.url, f"{api_url(url)}{path}", address.host, address.port, address.secure)
    return unreachable(tried, RelayError(why), 1, 0.0)


async def refusal(response: "httpx.Response") -> RelayError:
    """What an answer that is no success says, as an error; `detail` has its `status`."""
    said = b""
    async for data in response.aiter_bytes():
        said += data
        if len(said) > REFUSED_BYTES_MAX:
            break
    try:
        content = json.loads(said)
        code, message = str(content["code"]), str(content["error"])
    except (ValueError, KeyError, TypeError):
        code, message = "internal", f"HTTP {response.status_code} {response.reason_phrase}; it is no relay, or its path"
    return error_for(code, message, detail={"status": response.status_code})


class Past:
    """What was said before, over the same API. Raises RelayError: what is refused, and Unreachable."""

    def __init__(self, http: "httpx.AsyncClient", door: Door) -> None:
        self._http = http
        self._door = door

    async def newest(self) -> int:
        """The id of the newest message there is; 0: none."""
        return int((await self._get("/api/messages/cursor"))["cursor"])

    async def message(self, message: int) -> dict[str, Any] | None:
        """A message, or None when it is not kept any more."""
        try:
            found: dict[str, Any] = await self._get(f"/api/messages/{message}")
        except UnknownMessage:
            return None
        return found

    async def look_for(self, agent: str) -> None:
        """Raises UnknownAgent when nobody of this name was ever seen. A token that may not ask is told nothing."""
        try:
            await self._get(f"/api/agents/{urllib.parse.quote(agent, safe='')}")
        except Forbidden:
            return

    async def _get(self, path: str) -> Any:
        import httpx

        try:
            async with self._http.stream("GET", path) as response:
                if response.status_code != 200:
                    raise await refusal(response)
                return json.loads(await response.aread())
        except httpx.RequestError as exc:
            raise not_there(self._door.url, path, str(exc) or type(exc).__name__) from exc
