"""/api/backup, /api/export, /api/verify: for whoever keeps the relay. They give away everything it holds, so they take
a token for everything, where tokens are asked for.
"""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from relay_proto.errors import Internal
from relay_proto.scopes import ALL

from ..keeping.backup import copy_database, digest
from ..keeping.export import Export
from ..keeping.keeper import Job, NoRoom, Occupied
from ..keeping.verify import Report, settings_of_files, verify_source
from ..store.interface import StoreRefused
from .dispatch import Call
from .errors import HttpError
from .reading import when_gone
from .table import Operation, Reply

if TYPE_CHECKING:
    from ..grants import Grant
    from ..server import Relay

log = structlog.get_logger("relay.keeping")

CHUNK_BYTES: Final = 256 * 1024
STALL_S: Final = 60.0
"""A client that takes nothing of a piece for this long is cut."""
SQLITE: Final = "application/vnd.sqlite3"
LINES: Final = "application/jsonl"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Transfer(Response):
    """An answer in pieces that ends its job, however it ends. What is not whole is cut, so its client knows."""

    def __init__(
        self,
        relay: "Relay",
        grant: "Grant",
        job: Job,
        pieces: AsyncGenerator[bytes, None],
        headers: dict[str, str],
        media: str,
    ) -> None:
        super().__init__(None, headers={**_HEADERS, **headers}, media_type=media)
        if "Content-Length" not in headers:
            del self.headers["content-length"]
        self.relay = relay
        self.grant = grant
        self.job = job
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.WriteTransport | None = scope.get("relay.transport")
        unwatch = self.relay.doorkeeper.watch(self.grant, self.job.cancel)
        watch = asyncio.get_running_loop().create_task(when_gone(receive, self.job.cancel), name="transfer")
        is_whole = False
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(self.pieces) as pieces:
                async for piece in pieces:
                    self.job.check()
                    self.job.check_log()
                    async with asyncio.timeout(STALL_S):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            is_whole = True
        except Exception as exc:
            log.warning("a transfer was cut", what=self.job.what, error=str(exc) or type(exc).__name__)
        finally:
            watch.cancel()
            unwatch()
            self.job.close()
            if not is_whole and transport is not None:
                transport.abort()  # to close it would be to wait for who reads nothing


async def backup(call: Call) -> Response:
    """A copy of the database, with all that was accepted before this began. The relay goes on meanwhile.

    It is made on the relay's disk first, so there must be room for it (507). `Content-Digest` has its SHA-256. One
    backup, check or export at a time (409). To restore it, start a relay on a folder with it as `relay.db`.
    """
    if call.request.method == "HEAD":
        return Response(headers=_HEADERS, media_type=SQLITE)
    job = _begin(call, "a backup")
    try:
        sha256 = await _unless_gone(call, job, _make_copy, job)
        name = f"relay-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.db"
        size = job.copy.stat().st_size
        pieces = _file_pieces(job)
    except BaseException:
        job.close()
        raise
    headers = {
        "Content-Length": str(size),
        "Content-Digest": f"sha-256=:{base64.b64encode(sha256).decode()}:",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Transfer(call.relay, call.grant, job, pieces, headers, SQLITE)


async def export(call: Call) -> Response:
    """Everything that the relay holds as lines of JSON, as it was when this began: one line for each row.

    The last line says how many there are and their SHA-256: without it, the file is not whole.
    """
    if call.request.method == "HEAD":
        return Response(headers=_HEADERS, media_type=LINES)
    job = _begin(call, "an export")
    try:
        await _unless_gone(call, job, lambda: job.source)
        chunks = Export(job.source, call.relay.clock.now_ms()).chunks()
    except BaseException:
        job.close()
        raise
    return Transfer(call.relay, call.grant, job, _chunks(job, chunks), {}, LINES)


async def verify(call: Call) -> Reply:
    """Check the store: that all of it can be read, and that the ledger is true. Nothing is changed or mended.

    It reads everything there is, beside the turns. `ok` is false when there are findings.
    """
    if call.request.method == "HEAD":
        return Reply(None)
    job = _begin(call, "a check")
    try:
        report: Report = await _unless_gone(call, job, lambda: verify_source(job.source))
    finally:
        job.close()
    report.findings += settings_of_files(job.database)
    report.ok = not report.findings
    return Reply(report)


def _begin(call: Call, what: str) -> Job:
    try:
        return call.relay.keeper.begin(what)
    except Occupied as exc:
        raise HttpError(409, "busy", str(exc)) from None


async def _unless_gone(call: Call, job: Job, function: Callable[..., Any], *arguments: Any) -> Any:
    """The work of a job, unless its client goes first. Raises HttpError, RelayError."""
    watch = asyncio.get_running_loop().create_task(when_gone(call.request.receive, job.cancel), name=job.what)
    try:
        return await job.run(function, *arguments)
    except NoRoom as exc:
        raise HttpError(507, "storage_full", str(exc)) from None
    except StoreRefused as exc:
        raise Internal(str(exc)) from exc
    finally:
        watch.cancel()


def _make_copy(job: Job) -> bytes:
    """Runs on the thread: the copy, and its SHA-256."""
    job.check_room()
    copy_database(job.source, job.copy, job.go_on_slowly)
    job.let_go()
    return digest(job.copy, job.go_on)


async def _file_pieces(job: Job) -> AsyncGenerator[bytes, None]:
    file = job.copy.open("rb")
    job.copy.unlink()  # it lives as long as it is open, and no longer than this process
    try:
        while piece := await job.run(file.read, CHUNK_BYTES):
            yield piece
    finally:
        await asyncio.to_thread(file.close)  # gives back all of its blocks, which takes a while


async def _chunks(job: Job, chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    take: Callable[[], bytes | None] = lambda: next(chunks, None)  # noqa: E731
    while (chunk := await job.run(take)) is not None:
        yield chunk


OPERATIONS = (
    Operation(
        "GET", "/api/backup", backup, ALL, "Make a backup", "keeping", {200: bytes}, errors=(409, 500, 507),
        media=SQLITE, is_closed_off=True,
    ),
    Operation(
        "GET", "/api/export", export, ALL, "Export everything", "keeping", {200: str}, errors=(409, 500),
        media=LINES, is_closed_off=True,
    ),
    Operation("GET", "/api/verify", verify, ALL, "Check the store", "keeping", {200: Report}, errors=(409, 500)),
)  # fmt: skip
