import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import relay_client
from relay_client import Agent, Disconnected, Outbox, OutboxFull, OutboxInUse, OutboxUnusable, Queued, Replaced, ending
from relay_client import outbox as outbox_module
from relay_proto.errors import BadRequest, CloseCode, KeyConflict, RelayError, TooLarge
from relay_proto.frames import Error, GetMessage, Heartbeat, Ok, Send, StoredMessage
from tests.client.scripted import WAIT_S, Peer, ScriptedRelay, running, sent
from tests.daemon import Daemon, free_port

MakeDaemon = Callable[..., Daemon]

T0 = 1_700_000_000_000
STAMP = "relay-queued-at"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.db"


@pytest.fixture(autouse=True)
def _reconnect_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "BACKOFF_S_MAX", 0.05)


@asynccontextmanager
async def offline(path: Path, url: str | None = None, **options: Any) -> AsyncIterator[tuple[Agent, Outbox]]:
    """An agent with an outbox and no relay."""
    where = url or f"http://127.0.0.1:{free_port()}"
    async with relay_client.connect(where, agent="alice", outbox=path, **options) as agent:
        assert agent.outbox is not None
        yield agent, agent.outbox


@asynccontextmanager
async def online(relay: ScriptedRelay, path: Path) -> AsyncIterator[tuple[Agent, Outbox, Peer]]:
    """An agent with an outbox, connected to a scripted relay."""
    async with relay.agent(outbox=path) as (agent, peer):
        assert agent.outbox is not None
        yield agent, agent.outbox, peer


async def accept(peer: Peer, message: int) -> Send:
    """The next send, accepted."""
    frame = await peer.next(Send)
    await peer.say(sent(frame.id, message))
    return frame


async def queue(agent: Agent, *bodies: str, **options: Any) -> list[Queued]:
    """Send to bob; all of it must go into the outbox."""
    receipts = [await agent.send("bob", body, **options) for body in bodies]
    queued = [receipt for receipt in receipts if isinstance(receipt, Queued)]
    assert len(queued) == len(bodies)
    return queued


async def bodies(outbox: Outbox) -> list[Any]:
    return [item.frame.body for item in (await outbox.pending()).items]


# -- against the real relay ------------------------------------------------------------------------------------------


async def test_what_left_the_outbox_and_is_sent_again_directly_is_one_message(
    make_daemon: MakeDaemon, path: Path
) -> None:
    daemon = make_daemon()
    async with offline(path, daemon.url) as (agent, outbox):
        await queue(agent, "one", key="job", hold=True, ttl_s=3600)
        daemon.start()
        await outbox.drained(WAIT_S)
        again = await agent.send("bob", "one", key="job", hold=True, ttl_s=3600)
        assert again.duplicate
        with pytest.raises(KeyConflict):
            await agent.send("bob", "two", key="job", hold=True, ttl_s=3600)


async def test_what_was_sent_without_a_relay_arrives_in_order_with_its_times(
    make_daemon: MakeDaemon, path: Path
) -> None:
    daemon = make_daemon()
    before = time.time_ns() // 1_000_000
    async with offline(path, daemon.url) as (agent, outbox):
        receipts = await queue(agent, "one", "two", "three", hold=True)
        assert [receipt.position for receipt in receipts] == [1, 2, 3]
        assert {receipt.path for receipt in receipts} == {str(path)}
        assert before <= receipts[0].queued_at <= receipts[2].queued_at <= time.time_ns() // 1_000_000
        daemon.start()
        await outbox.drained(WAIT_S)
        direct = await agent.send("bob", "four", hold=True)
        assert not direct.queued
        assert direct.message
    async with relay_client.connect(daemon.url, agent="bob") as bob:
        messages = [await bob.receive(WAIT_S) for _ in range(4)]
    assert [message.body for message in messages] == ["one", "two", "three", "four"]
    assert [message.headers.get(STAMP) for message in messages] == [*(str(r.queued_at) for r in receipts), None]


async def test_a_relay_that_is_killed_in_the_middle_loses_and_doubles_nothing(
    make_daemon: MakeDaemon, path: Path
) -> None:
    daemon = make_daemon().start()
    got: list[Any] = []
    count, killed_at = 400, 150
    async with relay_client.connect(daemon.url, agent="bob") as bob, offline(path, daemon.url) as (agent, outbox):
        assert agent.connected

        async def listen() -> None:
            async for message in bob:
                got.append(message.body)
                if len(got) == count:
                    return

        async with running(listen()) as listening:
            sends = [asyncio.create_task(agent.send("bob", str(i))) for i in range(count // 2)]
            await sends[killed_at - 1]
            daemon.kill()
            sends += [asyncio.create_task(agent.send("bob", str(i))) for i in range(count // 2, count)]
            receipts = await asyncio.wait_for(asyncio.gather(*sends), WAIT_S)
            assert all(receipt.queued for receipt in receipts[-10:])
            assert await bodies(outbox) == [str(i) for i in range(count) if receipts[i].queued][:100]
            daemon.start()
            await outbox.drained(WAIT_S)
            await asyncio.wait_for(listening, WAIT_S)
        assert outbox.refused_count == 0
    assert got == [str(i) for i in range(count)]


SENDER = """
import asyncio, sys
import relay_client

async def main(url, path):
    async with relay_client.connect(url, agent="alice", outbox=path) as agent:
        for i in range(10**6):
            receipt = await agent.send("bob", str(i), hold=True)
            assert receipt.queued
            print(i, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def start_sender(url: str, path: Path) -> subprocess.Popen[str]:
    """A process that sends 0, 1, 2, .. to bob, and prints each when it has the receipt."""
    return subprocess.Popen([sys.executable, "-c", SENDER, url, str(path)], stdout=subprocess.PIPE, text=True)


async def test_a_killed_client_goes_on_in_its_next_process(make_daemon: MakeDaemon, path: Path) -> None:
    daemon = make_daemon()
    with start_sender(daemon.url, path) as sender:
        assert sender.stdout is not None
        for _ in range(20):
            promised = int(sender.stdout.readline())
        with pytest.raises(OutboxInUse, match=rf"{re.escape(str(path))} is in use by process {sender.pid}") as caught:
            async with offline(path, daemon.url):
                pass
        assert caught.value.detail == {"path": str(path), "pid": sender.pid}
        sender.send_signal(signal.SIGKILL)
        promised = int([str(promised), *sender.stdout.read().split()][-1])
    daemon.start()
    async with relay_client.connect(daemon.url, agent="alice", outbox=path) as agent:
        assert agent.outbox is not None
        last = await agent.send("bob", "last", hold=True)
        await agent.outbox.drained(WAIT_S)
        assert last.queued
    got: list[Any] = []
    async with relay_client.connect(daemon.url, agent="bob") as bob:
        async for message in bob:
            if message.body == "last":
                break
            got.append(message.body)
    assert got == [str(i) for i in range(len(got))]
    assert promised + 1 <= len(got) <= promised + 2


async def test_what_the_relay_refuses_for_good_steps_aside(
    make_daemon: MakeDaemon, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = make_daemon()
    async with offline(path, daemon.url) as (agent, outbox):
        nobody = await agent.send("nobody", "lost?")
        await queue(agent, "hello", hold=True)
        before = time.time_ns() // 1_000_000
        with caplog.at_level(logging.WARNING, "relay_client"):
            daemon.start()
            await outbox.drained(WAIT_S)
        assert f"{nobody.key} was sent while offline and is refused" in caplog.text
        assert (outbox.pending_count, outbox.refused_count) == (0, 1)
        [refused] = (await outbox.refused()).items
        assert (refused.key, refused.code, refused.frame.body) == (nobody.key, "unknown_agent", "lost?")
        assert "nobody" in refused.message
        assert before <= refused.refused_at <= time.time_ns() // 1_000_000
        assert await outbox.forget(nobody.key) == 1
        assert (outbox.refused_count, outbox.bytes) == (0, 0)
    async with relay_client.connect(daemon.url, agent="bob") as bob:
        assert (await bob.receive(WAIT_S)).body == "hello"


async def test_an_explicit_key_that_the_relay_has_makes_no_second_message(make_daemon: MakeDaemon, path: Path) -> None:
    daemon = make_daemon().start()
    async with offline(path, daemon.url) as (agent, outbox):
        once: dict[str, Any] = {"key": "job-1", "hold": True, "ttl_s": 600, "headers": {"a": "b"}, "priority": 7}
        await agent.send("bob", "once", **once)
        for _ in range(2):
            daemon.kill()
            while agent.connected:
                await outbox._watchers.wait()
            await queue(agent, "once", **once)
            daemon.start()
            await outbox.drained(WAIT_S)
        assert outbox.refused_count == 0
        await agent.send("bob", "end", hold=True)
    async with relay_client.connect(daemon.url, agent="bob") as bob:
        assert [(await bob.receive(WAIT_S)).body for _ in range(2)] == ["once", "end"]


# -- one owner -------------------------------------------------------------------------------------------------------


async def test_a_second_agent_object_on_one_outbox_is_refused_and_takes_nothing_over(
    relay: ScriptedRelay, path: Path
) -> None:
    async with online(relay, path) as (agent, _, _):
        with pytest.raises(OutboxInUse, match="this very process") as caught:
            async with offline(path, relay.url):
                pass
        assert caught.value.detail == {"path": str(path), "pid": os.getpid()}
        assert agent.connected
    async with online(relay, path):
        pass  # it was given back


async def test_the_outbox_of_another_agent_is_refused(relay: ScriptedRelay, path: Path) -> None:
    async with offline(path):
        pass
    with pytest.raises(OutboxUnusable, match="'alice', not of 'bob'"):
        async with relay_client.connect(relay.url, agent="bob", outbox=path):
            pass


async def test_an_agent_that_could_not_connect_gives_the_outbox_back(relay: ScriptedRelay, path: Path) -> None:
    async def join() -> None:
        async with offline(path, relay.url):
            pass

    async with running(join()) as joining:
        await (await relay.peer()).refuse("unauthorized", "the token is wrong", CloseCode.UNAUTHORIZED)
        with pytest.raises(RelayError, match="the token is wrong"):
            await joining
    async with running(join()) as joining:
        await relay.peer()
        joining.cancel()
        await asyncio.wait([joining])
    async with online(relay, path):
        pass


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"outbox": 5}, "outbox is 5"),
        ({"outbox": ""}, "outbox is ''"),
        ({"outbox": b"/tmp/x"}, "outbox is b'/tmp/x'"),
        ({"outbox": "a\0b"}, "outbox is"),
        ({"outbox": "out.db", "reconnect": False}, "reconnect is False"),
    ],
)
def test_a_bad_outbox_argument_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        relay_client.connect(agent="alice", **options)


async def test_an_agent_without_an_outbox_has_none(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, _):
        assert agent.outbox is None


# -- what goes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"to": "no one"}, BadRequest, "to is 'no one'"),
        ({"to": "team:x"}, BadRequest, "a target is"),
        ({"body": 5}, BadRequest, "body must be"),
        ({"body": "x" * 262_145}, TooLarge, "262145 bytes"),
        ({"priority": 10}, BadRequest, "priority is 10"),
        ({"ttl_s": -1}, BadRequest, "ttl_s is -1"),
        ({"ttl_s": 1, "delay_s": 2}, BadRequest, "ttl_s is 1"),
        ({"headers": {f"h{i}": "x" for i in range(32)}}, BadRequest, f"{STAMP} is one of the headers"),
    ],
)
async def test_bad_arguments_are_refused_and_not_queued(
    path: Path, options: dict[str, Any], error: type[RelayError], says: str
) -> None:
    async with offline(path) as (agent, outbox):
        with pytest.raises(error, match=says):
            await agent.send(**({"to": "bob", "body": "x"} | options))
        assert outbox.pending_count == 0


async def test_a_key_that_waits_is_queued_once(path: Path) -> None:
    async with offline(path) as (agent, outbox):
        [first] = await queue(agent, "one", key="k1")
        await queue(agent, "two")
        [again] = await queue(agent, "one", key="k1")
        assert (again.queued_at, again.position, again.key) == (first.queued_at, 1, "k1")
        with pytest.raises(KeyConflict):
            await agent.send("bob", "another", key="k1")
        assert await bodies(outbox) == ["one", "two"]


async def test_a_full_outbox_is_an_error_and_the_message_is_not_in_it(path: Path) -> None:
    async with offline(path) as (agent, outbox):
        outbox._file._messages_max = 2
        await queue(agent, "one", "two")
        with pytest.raises(OutboxFull, match="the limit is 2"):
            await agent.send("bob", "three")
        assert await bodies(outbox) == ["one", "two"]
        await outbox.forget((await outbox.pending()).items[0].key)
        await queue(agent, "three")


async def test_a_file_that_can_not_be_written_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with offline(path) as (agent, outbox):
        await queue(agent, "one")
        outbox._file._broken = "after SQLITE_IOERR nobody knows what it holds"
        with pytest.raises(OutboxUnusable, match="SQLITE_IOERR"):
            await agent.send("bob", "two")
        with pytest.raises(OutboxUnusable, match="SQLITE_IOERR"):
            await outbox.pending()


async def test_a_cancelled_send_is_in_the_outbox_or_not(path: Path) -> None:
    async with offline(path) as (agent, outbox):
        kept = set()
        for steps in range(8):
            task = asyncio.create_task(agent.send("bob", str(steps), key=f"k{steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if outbox._writing or not task.cancelled():
                kept.add(str(steps))
        await queue(agent, "end")
        assert {*await bodies(outbox)} == {*kept, "end"}
        assert outbox.pending_count == len(kept) + 1
        assert "0" not in kept
        assert kept


async def test_sends_at_once_are_queued_in_the_order_of_their_calls(path: Path) -> None:
    async with offline(path) as (agent, outbox):
        await asyncio.gather(*(agent.send("bob", str(i)) for i in range(50)))
        assert await bodies(outbox) == [str(i) for i in range(50)]


async def test_pages_show_all_that_waits(path: Path) -> None:
    async with offline(path) as (agent, outbox):
        receipts = await queue(agent, "one", "two", "three")
        page = await outbox.pending(limit=2)
        assert [item.key for item in page.items] == [receipt.key for receipt in receipts[:2]]
        rest = await outbox.pending(limit=2, after=int(page.next or 0))
        assert ([item.frame.body for item in rest.items], rest.next) == (["three"], None)
        assert (await outbox.refused()).items == []
        for limit in (0, 1001, "5"):
            with pytest.raises(BadRequest, match="limit is"):
                await outbox.pending(limit=limit)  # type: ignore[arg-type]
        assert repr(outbox) == f"Outbox('{path}', pending=3, refused=0)"


async def test_a_timeout_does_not_count_for_what_is_queued(path: Path) -> None:
    async with offline(path) as (agent, _):
        await queue(agent, "one", timeout_s=0)


async def test_a_timeout_that_waits_for_the_relay_queues_nothing(relay: ScriptedRelay, path: Path) -> None:
    async with online(relay, path) as (agent, outbox, peer):
        with pytest.raises(TimeoutError, match=r"no answer to the send within 0\.01 s"):
            await agent.send("bob", "one", timeout_s=0.01)
        assert outbox.pending_count == 0
        async with running(agent.send("bob", "two")) as sending:
            assert [(await accept(peer, i)).body for i in (1, 2)] == ["one", "two"]
            assert not (await sending).queued


async def test_a_closed_agent_queues_nothing_and_what_waits_stays(path: Path) -> None:
    async with offline(path) as (agent, outbox):
        await queue(agent, "one")
    await agent.close()
    with pytest.raises(Disconnected):
        await agent.send("bob", "two")
    with pytest.raises(Disconnected):
        await outbox.drained()
    async with offline(path) as (_, outbox):
        assert await bodies(outbox) == ["one"]


async def test_an_agent_that_was_replaced_queues_nothing(relay: ScriptedRelay, path: Path) -> None:
    async with online(relay, path) as (agent, outbox, peer):
        async with running(agent.send("bob", "one")) as sending:
            await peer.next(Send)
            await peer.dismiss("replaced", CloseCode.REPLACED)
            with pytest.raises(Replaced):
                await asyncio.wait_for(sending, WAIT_S)
        with pytest.raises(Replaced):
            await agent.send("bob", "two")
        assert outbox.pending_count == 0


# -- what comes out --------------------------------------------------------------------------------------------------


async def test_with_a_connection_nothing_is_queued(relay: ScriptedRelay, path: Path) -> None:
    async with online(relay, path) as (agent, _, peer), running(agent.send("bob", "one")) as sending:
        frame = await accept(peer, 5)
        receipt = await sending
        assert (receipt.queued, receipt.message, frame.headers) == (False, 5, None)


async def test_a_send_waits_behind_what_is_in_the_outbox(path: Path) -> None:
    late = ScriptedRelay()
    async with offline(path, late.url) as (agent, outbox):
        await queue(agent, "one")
        await late.start()
        peer = await late.registered()
        one = await peer.next(Send)
        assert agent.connected
        await queue(agent, "two")
        await peer.say(sent(one.id, 1))
        assert (await accept(peer, 2)).body == "two"
        await outbox.drained(WAIT_S)
    await late.stop()


async def test_a_send_without_an_answer_is_queued_when_the_connection_is_lost(relay: ScriptedRelay, path: Path) -> None:
    async with online(relay, path) as (agent, outbox, peer):
        first, second = (asyncio.create_task(agent.send("bob", body)) for body in ("one", "two"))
        keys = [(await peer.next(Send)).key for _ in range(2)]
        await peer.cut()
        third = asyncio.create_task(agent.send("bob", "three"))
        receipts = await asyncio.gather(first, second, third)
        assert [receipt.queued for receipt in receipts] == [True] * 3
        peer = await relay.registered()
        frames = [await accept(peer, i) for i in (1, 2, 3)]
        assert [frame.body for frame in frames] == ["one", "two", "three"]
        assert [frame.key for frame in frames[:2]] == keys
        await outbox.drained(WAIT_S)


async def test_nothing_leaves_while_an_earlier_send_is_still_to_come_into_the_line(path: Path) -> None:
    late = ScriptedRelay()
    async with offline(path, late.url) as (agent, outbox):
        await queue(agent, "later")
        earlier = asyncio.timeout(None)
        outbox._on_the_way.add(earlier)
        await late.start()
        peer = await late.registered()
        async with running(agent.heartbeat()) as beating:
            await peer.say(Ok(re=(await peer.next(Heartbeat)).id or 0))
            await beating
        await outbox.pending()  # by now the file could have given out its first
        async with running(agent.heartbeat()):
            await peer.next(Heartbeat)
            outbox._on_the_way.discard(earlier)
            outbox.connection_changed()
            assert (await accept(peer, 1)).body == "later"
    await late.stop()


async def test_what_the_relay_had_already_taken_is_not_doubled_and_not_refused(
    relay: ScriptedRelay, path: Path
) -> None:
    async with online(relay, path) as (agent, outbox, peer), running(agent.send("bob", "one", ttl_s=60)) as sending:
        first = await peer.next(Send)  # and the relay takes it, but its answer is lost
        await peer.cut()
        assert (await sending).queued
        peer = await relay.registered()
        again = await conflict(peer, body="one")
        assert (again.key, again.body) == (first.key, "one")
        await outbox.drained(WAIT_S)
        assert outbox.refused_count == 0


async def conflict(peer: Peer, **stored: Any) -> Send:
    """The next send finds its key taken, and the message that has it is shown."""
    frame = await peer.next(Send)
    await peer.say(Error(re=frame.id, code="key_conflict", message="another content", detail={"message": 7}))
    question = await peer.next(GetMessage)
    assert question.message == 7
    given: dict[str, Any] = {"sender": "alice", "to": "bob", "body": "", "sent_at": T0, "thread": 7, "hops": 0}
    await peer.say(Ok(re=question.id, item=StoredMessage(message=7, **(given | stored))))
    return frame


async def test_a_key_of_another_message_is_refused_for_good(relay: ScriptedRelay, path: Path) -> None:
    async with offline(path) as (agent, _):
        await queue(agent, "one", "two", "three")
    async with online(relay, path) as (_, outbox, peer):
        await conflict(peer, body="another")
        frame = await peer.next(Send)
        await peer.say(Error(re=frame.id, code="key_conflict", message="another content", detail={"message": 8}))
        await peer.say(Error(re=(await peer.next(GetMessage)).id, code="unknown_message", message="no message 8"))
        await peer.say(Error(re=(await peer.next(Send)).id, code="key_conflict", message="and no detail"))
        await outbox.drained(WAIT_S)
        assert [item.code for item in (await outbox.refused()).items] == ["key_conflict"] * 3


async def test_what_had_no_answer_when_the_process_ended_leaves_again_with_its_key(
    relay: ScriptedRelay, path: Path
) -> None:
    async with offline(path) as (agent, _):
        [receipt] = await queue(agent, "one")
    async with online(relay, path) as (_, _, peer):
        first = await peer.next(Send)
    async with online(relay, path) as (_, outbox, peer):
        again = await accept(peer, 1)
        await outbox.drained(WAIT_S)
    assert first.key == again.key == receipt.key
    assert first.headers == again.headers == {STAMP: str(receipt.queued_at)}


async def test_what_has_left_is_out_of_the_file_when_the_agent_is_closed(relay: ScriptedRelay, path: Path) -> None:
    async with offline(path) as (agent, _):
        await queue(agent, "one", "two", "three")
    async with online(relay, path) as (_, outbox, peer):
        await accept(peer, 1)
        await accept(peer, 2)
        await peer.next(Send)
    async with offline(path) as (_, outbox):
        assert await bodies(outbox) == ["three"]


async def test_the_file_is_told_of_many_that_left_at_once(
    relay: ScriptedRelay, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 2 * outbox_module.SETTLED_TOGETHER_MAX + 1
    async with offline(path) as (agent, _):
        await queue(agent, *(str(i) for i in range(count)))
    async with online(relay, path) as (_, outbox, peer):
        settle, calls = outbox._file.settle, list[int]()

        def counted(items: list[Any]) -> None:
            calls.append(len(items))
            settle(items)

        monkeypatch.setattr(outbox._file, "settle", counted)
        assert [(await accept(peer, i)).body for i in range(1, count + 1)] == [str(i) for i in range(count)]
        await outbox.drained(WAIT_S)
        assert calls == [32, 32, 1]


@pytest.mark.parametrize("code", ["rate_limited", "inbox_full", "storage_full", "unavailable"])
async def test_a_refusal_for_now_keeps_the_order_and_the_time_to_wait(
    relay: ScriptedRelay, path: Path, code: str
) -> None:
    async with offline(path) as (agent, _):
        await queue(agent, "one", "two")
    loop = asyncio.get_running_loop()
    async with online(relay, path) as (_, outbox, peer):
        first = await peer.next(Send)
        refused_at = loop.time()
        await peer.say(Error(re=first.id, code=code, message="not now", retry_after_s=0.2))
        again = await accept(peer, 1)
        assert loop.time() - refused_at >= 0.2
        assert (again.body, again.key) == ("one", first.key)
        assert (await accept(peer, 2)).body == "two"
        await outbox.drained(WAIT_S)
        assert outbox.blocked is None


async def test_what_blocks_the_line_is_shown_and_can_be_forgotten(relay: ScriptedRelay, path: Path) -> None:
    async with offline(path) as (agent, _):
        [one, _] = await queue(agent, "one", "two")
    async with online(relay, path) as (_, outbox, peer):
        frame = await peer.next(Send)
        await peer.say(Error(re=frame.id, code="inbox_full", message="bob has no room", retry_after_s=0.2))
        with pytest.raises(TimeoutError, match=r"2 messages still wait after 0\.1 s; the first one: bob has no room"):
            await outbox.drained(0.1)
        assert outbox.blocked is not None
        assert outbox.blocked.code == "inbox_full"
        await outbox.forget(one.key)
        assert (await accept(peer, 1)).body == "two"
        await outbox.drained(WAIT_S)


async def test_what_can_not_be_settled_for_now_leaves_again(
    relay: ScriptedRelay, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FILE_RETRY_S", 0.01)
    async with offline(path) as (agent, _):
        await queue(agent, "one")
    async with online(relay, path) as (_, outbox, peer):
        settle, failed = outbox._file.settle, list[str]()

        def fail_once(*arguments: Any) -> None:
            if not failed:
                failed.append("once")
                raise OutboxFull("the disk is full")
            settle(*arguments)

        monkeypatch.setattr(outbox._file, "settle", fail_once)
        first, again = await accept(peer, 1), await accept(peer, 1)
        assert first.key == again.key
        await outbox.drained(WAIT_S)


async def test_times_count_from_the_send(relay: ScriptedRelay, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [T0]
    monkeypatch.setattr(outbox_module, "now_ms", lambda: now[0])
    async with offline(path) as (agent, _):
        await queue(agent, "late", ttl_s=60)
        await queue(agent, "in time", ttl_s=120.5, delay_s=100)
        await queue(agent, "due", delay_s=30)
    now[0] += 80_000
    async with online(relay, path) as (_, outbox, peer):
        in_time, due = await accept(peer, 1), await accept(peer, 2)
        assert (in_time.body, in_time.ttl_s, in_time.delay_s) == ("in time", 40.5, 20)
        assert (due.body, due.ttl_s, due.delay_s, due.headers) == ("due", None, None, {STAMP: str(T0)})
        await outbox.drained(WAIT_S)
        [refused] = (await outbox.refused()).items
        assert (refused.code, refused.frame.body, refused.refused_at) == ("expired", "late", T0 + 80_000)


async def test_what_expires_while_the_connection_is_lost_is_not_sent_again(
    relay: ScriptedRelay, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [T0]
    monkeypatch.setattr(outbox_module, "now_ms", lambda: now[0])
    async with offline(path) as (agent, _):
        await queue(agent, "late", ttl_s=60)
    async with online(relay, path) as (_, outbox, peer):
        await peer.next(Send)
        now[0] += 61_000
        await peer.cut()
        peer = await relay.registered()
        await outbox.drained(WAIT_S)
        assert [item.code for item in (await outbox.refused()).items] == ["expired"]


async def test_what_was_damaged_in_the_file_steps_aside(relay: ScriptedRelay, path: Path) -> None:
    async with offline(path) as (agent, outbox):
        await outbox._run(outbox._file.put, 1, "k1", T0, b"\xc1")
        outbox._last_place = 1
        await queue(agent, "two")
    async with online(relay, path) as (_, outbox, peer):
        assert (await accept(peer, 1)).body == "two"
        await outbox.drained(WAIT_S)
        assert [item.code for item in (await outbox.refused()).items] == ["bad_frame"]


async def test_the_loop_is_free_while_the_disk_is_slow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with offline(path) as (agent, outbox):
        put, loop, turns = outbox._file.put, asyncio.get_running_loop(), asyncio.Event()

        def slow(*arguments: Any) -> tuple[int, int]:
            asyncio.run_coroutine_threadsafe(turns.wait(), loop).result(WAIT_S)  # on the loop, while this blocks
            return put(*arguments)

        monkeypatch.setattr(outbox._file, "put", slow)
        async with running(agent.send("bob", "one")) as sending:
            await asyncio.sleep(0)
            turns.set()
            assert (await sending).queued
