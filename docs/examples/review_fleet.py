"""A fleet that reviews real source files while its members are killed, and a proof that nothing was lost or doubled.

    python docs/examples/review_fleet.py [FOLDER]        (default: the sources of the installed `websockets` package)

The driver starts a relay, one manager and three reviewers, each a process of its own. The manager sends every Python
file as claimable work to `cap:review`; a reviewer claims one, parses it, answers in its thread and completes the work.
While this runs the driver kills with SIGKILL, at moments picked by progress and not by a clock:

- after 20 % of the files, a reviewer that has answered and not yet completed: the worst moment there is. Its lease
  ends, the file is offered again, someone else does it.
- after 50 %, the relay, while claims are held. Everyone connects again and goes on.

Both are started again. At the end the manager asks the relay about every message and prints the report. Exit code 0
means that the proof holds.

How it is built: the processes tell the driver what they do, one JSON object a line on stdout. A reviewer stops at two
gates, `claimed` and `replied`, until the driver answers `go`: that is how a kill meets a claim in flight every time.
"""

import argparse
import ast
import asyncio
import hashlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import relay_client
from relay_proto import limits
from relay_proto.errors import Claimed, Finished, NotClaimable, NotHolder, StaleFence
from relay_proto.frames import StoredMessage

REVIEWERS: Final = ("reviewer-1", "reviewer-2", "reviewer-3")
LEASE_S: Final = 3.0  # short, so that a dead reviewer's file is offered again soon
WINDOW: Final = 64  # files handed out and not yet answered
KILL_REVIEWER_AT: Final = 20  # per cent of the files answered
KILL_RELAY_AT: Final = 50
STALL_S: Final = 60.0  # no news for this long means that something hangs
LOST: Final = (Claimed, Finished, NotClaimable, NotHolder, StaleFence)  # someone else has this file, or it is done

Event = dict[str, Any]


def tell(event: str, **facts: Any) -> None:
    """One line for the driver."""
    print(json.dumps({"event": event, **facts}), flush=True)


# -- the reviewer ----------------------------------------------------------------------------------------------------


async def reviewer(url: str, name: str) -> None:
    """Claims files, reviews them, answers, completes; until it is stopped."""
    answers = await stdin_lines()

    async def gate(event: str, message: int) -> None:
        tell(event, message=message)
        if await answers.readline() != b"go\n":
            raise SystemExit("the driver is gone")

    async with relay_client.connect(url, agent=name, caps=["review"], label="reviews Python files") as agent:
        tell("ready")
        async for message in agent:
            try:
                async with agent.claim(message, lease_s=LEASE_S) as work:
                    await gate("claimed", message.message)
                    findings = json.dumps(await asyncio.to_thread(review, message.body, message.content_type))
                    await message.reply(findings, content_type="application/json", intent="inform")
                    await gate("replied", message.message)
                    work.done(findings)
            except LOST:
                continue
            tell("completed", message=message.message)


def review(body: str | bytes, content_type: str | None) -> dict[str, Any]:
    """What there is to say about a Python file. The body is its text, or where it lies when it was too large."""
    source = Path(str(body)).read_bytes() if content_type == "text/x-path" else body
    data = source if isinstance(source, bytes) else source.encode()  # bytes: Python minds their BOM and coding line
    findings: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "lines": len(data.splitlines())}
    try:
        tree = ast.parse(data)
    except SyntaxError as exc:
        return findings | {"problem": f"{exc.msg}, line {exc.lineno}"}
    except (ValueError, RecursionError, MemoryError) as exc:
        return findings | {"problem": f"{type(exc).__name__}: {exc}"}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    public = [node for node in (*functions, *classes) if not node.name.startswith("_")]
    longest = sorted(((node.end_lineno or node.lineno) - node.lineno + 1, node.name, node.lineno) for node in functions)
    return findings | {
        "functions": len(functions),
        "classes": len(classes),
        "longest": longest[:-11:-1],
        "documentable": len(public) + 1,
        "undocumented": sum(ast.get_docstring(node) is None for node in (tree, *public)),
    }


async def stdin_lines() -> asyncio.StreamReader:
    """What the driver says."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


# -- the manager -----------------------------------------------------------------------------------------------------


async def manager(url: str, folder: Path) -> bool:
    """Hands the files out, collects the answers, asks the relay what became of each; True when the proof holds."""
    files = python_files(folder)
    sent: dict[str, tuple[int, str]] = {}  # file -> message, sha256
    answers: dict[int, list[str]] = {}  # message -> who answered, in order
    window = asyncio.Semaphore(WINDOW)

    async def hand_out() -> None:
        for name, path in files.items():
            await window.acquire()
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            body, content_type = as_body(path, data)
            receipt = await agent.send(
                "cap:review",
                body,
                subject=name[-limits.SUBJECT_CHARS_MAX :],
                content_type=content_type,
                intent="request",
                claimable=True,
                headers={"path": name[-limits.MAP_VALUE_CHARS_MAX :]},
                key=hashlib.sha256(f"{name} {digest}".encode()).hexdigest(),  # one message a file, however often sent
            )
            sent[name] = receipt.message, digest

    def note(reply: relay_client.Message) -> None:
        assert reply.reply_to is not None, reply
        who = answers.setdefault(reply.reply_to, [])
        who.append(reply.sender)
        if len(who) == 1:
            window.release()
            tell("answered", answered=len(answers), total=len(files))

    async with relay_client.connect(url, agent="manager", label="hands out reviews") as agent:
        tell("answered", answered=0, total=len(files))
        async with asyncio.TaskGroup() as group:
            group.create_task(hand_out())
            while len(answers) < len(files):
                reply = await agent.receive()
                note(reply)
                await reply.ack()
        items = await until_done(agent, [message for message, _ in sent.values()], note)
        offered = await offered_to(agent, REVIEWERS[0])
    lines = report(folder, {name: items[message] for name, (message, _) in sent.items()})
    proof, holds = prove(len(files), sent, offered, answers, items)
    tell("report", lines=[*lines, "", *proof])
    return holds


def python_files(folder: Path) -> dict[str, Path]:
    """Every Python file below the folder, by its path in it (as UTF-8, which file names need not be)."""
    files = (path for path in sorted(folder.rglob("*.py")) if path.is_file())
    return {str(path.relative_to(folder)).encode(errors="backslashreplace").decode(): path for path in files}


def as_body(path: Path, data: bytes) -> tuple[str | bytes, str]:
    """A file as a body: its text (bytes that are no UTF-8 as they are), or its path when it is beyond the limit."""
    if len(data) > limits.BODY_BYTES_MAX:
        return str(path.resolve()), "text/x-path"
    try:
        return data.decode(), "text/x-python"
    except UnicodeDecodeError:
        return data, "text/x-python"


async def until_done(
    agent: relay_client.Agent, messages: list[int], note: Callable[[relay_client.Message], None]
) -> dict[int, StoredMessage]:
    """Each message as the relay has it, once its work is done. An answer comes before its completion, so it may take
    a moment, or a lease when its reviewer died in between; further answers are noted meanwhile."""
    items: dict[int, StoredMessage] = {}
    while True:
        for message in messages:
            if message not in items:
                item = await agent.message(message)
                if item.work is not None and item.work.state == "done":
                    items[message] = item
        try:
            # Completion sends nobody a message: look again at the next answer, or after this long.
            reply = await agent.receive(timeout_s=0.25)
        except TimeoutError:
            if len(items) == len(messages):
                return items
        else:
            note(reply)
            await reply.ack()


async def offered_to(agent: relay_client.Agent, reviewer: str) -> list[int]:
    """Every message that was ever offered to a reviewer: what a resend had doubled would stand here twice."""
    offered: list[int] = []
    after: int | None = None
    while True:
        page = await agent.inbox(agent=reviewer, unread=False, limit=limits.PAGE_MAX, after=after)
        offered += [item.message for item in page.items]
        if not isinstance(page.next, int):
            return offered
        after = page.next


def prove(
    count: int,
    sent: dict[str, tuple[int, str]],
    offered: list[int],
    answers: dict[int, list[str]],
    items: dict[int, StoredMessage],
) -> tuple[list[str], bool]:
    """The proof as lines, and whether it holds. Everything in it is what the relay says, not what we remember."""
    done = {message for message, item in items.items() if item.work is not None and item.work.state == "done"}
    results = 0
    for message, digest in sent.values():
        work = items[message].work
        results += work is not None and isinstance(work.result, str) and json.loads(work.result)["sha256"] == digest
    again = sum(item.work is not None and item.work.fence > 1 for item in items.values())
    names = {message: name for name, (message, _) in sent.items()}
    twice = {names[message]: who for message, who in answers.items() if len(who) > 1}
    messages = {message for message, _ in sent.values()}
    checks = [
        ("files", count, f"found in the folder; {count:,} expected in each of these lines"),
        ("messages", len(messages), "accepted by the relay, each file its own"),
        ("offered", len(offered), f"in the inbox of {REVIEWERS[0]}, all told: nothing was doubled by a resend"),
        ("done", len(done & messages), "completed by the relay's ledger, which completes once or not at all"),
        ("results", results, "kept with the work, each with the SHA-256 of the file that was sent"),
        ("answered", len(answers.keys() & messages), "have an answer in their thread"),
    ]
    lines = ["Proof", *(f"  {number:>7,}  {name:<10}{words}" for name, number, words in checks)]
    lines.append(f"  {again:>7,}  {'reclaimed':<10}were claimed more than once (fence above 1): a holder was lost")
    total = sum(map(len, answers.values()))
    lines.append(f"  {total:>7,}  {'answers':<10}came in all; an answer may come twice, a completion can't")
    lines += [f"           answered twice: {name}, by {' and '.join(who)}" for name, who in twice.items()]
    holds = all(number == count for _, number, _ in checks) and set(offered) == messages == answers.keys()
    return lines, holds


def report(folder: Path, items: dict[str, StoredMessage]) -> list[str]:
    """The review itself, from the results that the relay keeps."""
    findings = {name: json.loads(item.work.result) for name, item in items.items() if item.work and item.work.result}

    def total(field: str) -> int:
        return sum(found.get(field, 0) for found in findings.values())

    broken = [f"  {name}: {found['problem']}" for name, found in findings.items() if "problem" in found]
    by = Counter(item.work.holder or "unknown" for item in items.values() if item.work)
    functions = sorted(
        (
            (lines, name, f"{file}:{line}")
            for file, found in findings.items()
            for lines, name, line in found.get("longest", ())
        ),
        reverse=True,
    )
    bare = sorted(
        ((found.get("undocumented", 0), found.get("documentable", 0), name) for name, found in findings.items()),
        reverse=True,
    )
    return [
        f"Review of {folder}",
        f"  {len(findings):,} files, {total('lines'):,} lines, {total('functions'):,} functions, "
        f"{total('classes'):,} classes; {total('undocumented'):,} of {total('documentable'):,} lack a docstring",
        f"  by {', '.join(f'{name} ({count})' for name, count in sorted(by.items()))}",
        *(["", "Files that Python can't parse", *broken] if broken else []),
        "",
        "Ten longest functions",
        *(f"  {lines:>5} lines  {name:<32} {where}" for lines, name, where in functions[:10]),
        "",
        "Most public names without a docstring",
        *(f"  {missing:>5} of {of:<5} {name}" for missing, of, name in bare[:10] if missing),
    ]


# -- the driver ------------------------------------------------------------------------------------------------------


class Fleet:
    """The processes, and what they say. Only it kills."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home  # the relay's data and everyone's log; removed at the end
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.readers: set[asyncio.Task[None]] = set()
        self.events: asyncio.Queue[tuple[str, Event]] = asyncio.Queue()
        self.claims: dict[str, int] = {}  # reviewer -> the message it holds
        self.completed: Counter[int] = Counter()  # message -> times a reviewer saw its completion accepted
        self.progress = (0, 0)
        self.killed_reviewer: str | None = None
        self.killed_relay = False

    async def start(self, name: str, *arguments: str) -> None:
        """Starts a process of the fleet; what it says on stdout becomes events."""
        with (self.home / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=log if name == "relay" else asyncio.subprocess.PIPE,
                stderr=log,
                env={key: value for key, value in os.environ.items() if not key.startswith("RELAY_")},
                limit=2**24,
                start_new_session=True,  # Ctrl-C is ours alone to answer
            )
        self.processes[name] = process
        if process.stdout is not None:
            reader = asyncio.create_task(self.read(name, process))
            self.readers.add(reader)
            reader.add_done_callback(self.readers.discard)

    async def start_relay(self) -> None:
        """Starts the relay; ends when it says that it is ready."""
        data = str(self.home / "data")
        await self.start(
            "relay", "-m", "relay_client.cli", "serve", "--host", "127.0.0.1", "--port", str(self.port), "--data", data,
            "--config", os.devnull,
        )  # fmt: skip
        async with asyncio.timeout(STALL_S):
            while not await asyncio.to_thread(is_ready, self.url):
                if self.processes["relay"].returncode is not None:
                    raise SystemExit("the relay ended while it started")
                await asyncio.sleep(0.05)  # nothing but its port tells an outsider that it is up

    async def start_role(self, role: str, name: str) -> None:
        await self.start(name, __file__, str(self.folder), "--role", role, "--name", name, "--url", self.url)

    async def read(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Turns the lines of one process into events, and its end into one more."""
        assert process.stdout is not None
        async for line in process.stdout:
            self.events.put_nowait((name, json.loads(line)))
        self.events.put_nowait((name, {"event": "exit", "pid": process.pid, "code": await process.wait()}))

    async def next(self) -> tuple[str, Event]:
        """The next event. Raises SystemExit when there is none for STALL_S, or when a process ended by itself."""
        try:
            async with asyncio.timeout(STALL_S):
                name, event = await self.events.get()
        except TimeoutError:
            answered, total = self.progress
            raise SystemExit(f"nothing happened for {STALL_S:g} s at {answered} of {total}") from None
        if event["event"] == "exit" and event["pid"] == self.processes[name].pid and name != "manager":
            raise SystemExit(f"{name} ended by itself, with code {event['code']}")
        return name, event

    def go(self, name: str) -> None:
        """Opens the gate that a reviewer stands at."""
        stdin = self.processes[name].stdin
        assert stdin is not None
        stdin.write(b"go\n")

    async def kill(self, name: str, why: str) -> None:
        """SIGKILL, and what it met."""
        process = self.processes[name]
        process.kill()
        await process.wait()
        say(f"SIGKILL {name} (pid {process.pid}) at {self.progress[0]} of {self.progress[1]}: {why}")

    def has_come_to(self, percent: int) -> bool:
        """Whether so much of the files is answered (rounded down: a folder of one file gets its kills too)."""
        answered, total = self.progress
        return total > 0 and answered >= total * percent // 100

    async def run(self) -> int:
        """Starts everyone, plays the kills, shows progress; the manager's verdict is the exit code."""
        await self.start_relay()
        say(f"relay at {self.url} (pid {self.processes['relay'].pid}), three reviewers, one manager")
        for name in REVIEWERS:
            await self.start_role("reviewer", name)
        for _ in REVIEWERS:
            assert (await self.next())[1]["event"] == "ready"
        await self.start_role("manager", "manager")
        while True:
            name, event = await self.next()
            match event:
                case {"event": "answered", "answered": answered, "total": total}:
                    self.progress = (answered, total)
                    show_bar(answered, total, self.claims)
                    if not sys.stdout.isatty() and answered * 10 // total != (answered - 1) * 10 // total:
                        say(f"{answered} of {total} reviewed")
                case {"event": "claimed", "message": message}:
                    self.claims[name] = message
                    if self.killed_reviewer and not self.killed_relay and self.has_come_to(KILL_RELAY_AT):
                        await self.kill_relay()
                    self.go(name)
                case {"event": "replied", "message": message}:
                    if self.killed_reviewer is None and self.has_come_to(KILL_REVIEWER_AT):
                        await self.kill_reviewer(name, message)
                    else:
                        self.go(name)
                case {"event": "completed", "message": message}:
                    self.claims.pop(name, None)
                    self.completed[message] += 1
                    show_bar(*self.progress, self.claims)
                case {"event": "report", "lines": lines}:
                    say("", *lines)
                case {"event": "exit", "code": code} if name == "manager":
                    return self.verdict(code)

    async def kill_relay(self) -> None:
        held = ", ".join(f"#{message} by {name}" for name, message in sorted(self.claims.items()))
        await self.kill("relay", f"claims in flight: {held}")
        self.killed_relay = True
        await self.start_relay()
        say(f"relay started again (pid {self.processes['relay'].pid})")

    async def kill_reviewer(self, name: str, message: int) -> None:
        await self.kill(name, f"it had answered #{message} and not completed it; its lease of {LEASE_S:g} s must end")
        self.killed_reviewer = name
        self.claims.pop(name, None)
        await self.start_role("reviewer", name)
        say(f"{name} started again (pid {self.processes[name].pid})")

    def verdict(self, code: int) -> int:
        """The manager's exit code, unless what the reviewers saw contradicts it."""
        doubled = [message for message, times in self.completed.items() if times > 1]
        say(
            f"  {len(self.completed):>7,}  {'seen':<10}by the reviewers as accepted completions; "
            f"{len(doubled)} of a message twice",
        )
        holds = code == 0 and not doubled and self.killed_reviewer is not None and self.killed_relay
        say("", "The proof holds: each file was completed exactly once." if holds else "THE PROOF DOES NOT HOLD.")
        return 0 if holds else 1

    async def end(self) -> None:
        """Ends what still runs: politely, then not."""
        running = [process for process in self.processes.values() if process.returncode is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(10):
                await asyncio.gather(*(process.wait() for process in running))
        except TimeoutError:
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        await asyncio.gather(*self.readers)


def is_ready(url: str) -> bool:
    """Whether the relay serves."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def say(*lines: str) -> None:
    """Lines for the user, over the progress line. File names may carry anything: only what prints is printed."""
    clear = "\r\x1b[K" if sys.stdout.isatty() else ""
    print(clear + "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines), flush=True)


def show_bar(answered: int, total: int, claims: dict[str, int]) -> None:
    """The progress line of a terminal, with who holds what."""
    if sys.stdout.isatty() and total:
        bar = "#" * (30 * answered // total)
        held = "  ".join(f"{name} #{message}" for name, message in sorted(claims.items()))
        print(f"\r\x1b[K[{bar:<30}] {answered} of {total} reviewed  {held}", end="", flush=True)


def print_logs(home: Path) -> None:
    """The end of what each process wrote to stderr."""
    for log in sorted(home.glob("*.log")):
        if text := log.read_text(errors="replace").strip():
            print(f"--- {log.stem}:\n{text[-2000:]}", file=sys.stderr)


async def drive(folder: Path) -> int:
    """The whole demo."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="review-fleet-") as home:
        fleet = Fleet(folder, Path(home))
        try:
            code = await fleet.run()
        except BaseException:
            print_logs(Path(home))
            raise
        finally:
            await fleet.end()
    say(f"{time.monotonic() - started:.1f} s; every process ended, the data removed")
    return code


def main() -> int:
    """The demo, or one role of it in a process of its own."""
    parser = argparse.ArgumentParser(description="A review fleet on real files, with kills and a proof.")
    parser.add_argument("folder", nargs="?", type=Path, help="Python files to review (default: installed websockets)")
    for hidden in ("--role", "--name", "--url"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "reviewer":
        return asyncio.run(reviewer(given.url, given.name)) or 0
    if given.role == "manager":
        return 0 if asyncio.run(manager(given.url, given.folder)) else 1
    folder = given.folder
    if folder is None:
        import websockets

        folder = Path(str(websockets.__file__)).parent
    if not python_files(folder):
        parser.error(f"no Python files in {folder}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up
    try:
        return asyncio.run(drive(folder.resolve()))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
