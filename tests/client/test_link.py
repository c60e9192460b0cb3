import asyncio

import pytest

import relay_client
from relay_client import Agent, Disconnected, Replaced, requests
from relay_client import link as module
from relay_proto import limits
from relay_proto.errors import BadFrame, Unauthorized
from relay_proto.frames import Ack, Bye, Claim, Error, Heartbeat, Ok, Register, Release, Send
from tests.client.scripted import WAIT_S, ScriptedRelay, deliver, hear, running, sent

# -- writing ---------------------------------------------------------------------------------------------------------


async def test_all_frames_of_one_tick_leave_in_one_message(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(agent.send("bob", f"{number}"))
        batch = await peer.batch()
        assert [frame.body for frame in batch if isinstance(frame, Send)] == [str(number) for number in range(100)]
        await peer.say(*(sent(frame.id, frame.id) for frame in batch if isinstance(frame, Send)))


async def test_more_open_requests_than_the_limit_wait_their_turn(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "OPEN_REQUESTS_MAX", 4)
    async with relay.agent() as (agent, peer):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(agent.send("bob", f"{number}")) for number in range(10)]
            bodies: list[object] = []
            while len(bodies) < 10:
                batch = [frame for frame in await peer.batch() if isinstance(frame, Send)]
                assert len(batch) <= 4
                bodies += [frame.body for frame in batch]
                await peer.say(*(sent(frame.id, frame.id) for frame in batch))
        assert bodies == [str(number) for number in range(10)]
        assert all(task.result().message for task in tasks)


async def test_who_waits_for_room_and_is_cancelled_makes_room_for_the_next(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "OPEN_REQUESTS_MAX", 1)
    async with (
        relay.agent() as (agent, peer),
        running(agent.send("bob", "a")) as first,
        running(agent.send("bob", "b")) as second,
        running(agent.send("bob", "c")) as third,
    ):
        frame = await peer.next(Send)
        hear(agent, sent(frame.id, 1))  # it lets the second in
        second.cancel()
        await first
        frame = await peer.next(Send)
        assert frame.body == "c"
        await peer.say(sent(frame.id, 2))
        await third


async def test_room_in_bytes_is_asked_for_again_by_each_who_was_let_in(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "OPEN_BYTES_MAX", 100)
    async with relay.agent() as (agent, peer), asyncio.TaskGroup() as group:
        for letter in "abc":
            group.create_task(agent.send("bob", letter * 200))
        for letter in "abc":
            (frame,) = await peer.batch()
            assert isinstance(frame, Send)
            assert frame.body == letter * 200
            await peer.say(sent(frame.id, frame.id))


async def test_what_a_broken_connection_did_not_take_leaves_behind_the_next_register(relay: ScriptedRelay) -> None:
    body = b"x" * 250_000
    async with relay.agent() as (agent, peer):
        peer.socket.transport.pause_reading()
        async with asyncio.TaskGroup() as group:
            for _ in range(60):
                group.create_task(agent.send("bob", body))
            await peer.say(deliver(7))
            await agent.receive(WAIT_S)  # it has written what it could
            await peer.cut()
            peer = await relay.registered()
            ids = [(await peer.next(Send)).id for _ in range(60)]
            assert ids == sorted(set(ids))
            await peer.say(*(sent(id, id) for id in ids))


async def test_a_peer_that_does_not_read_holds_up_our_writing_and_nothing_else(relay: ScriptedRelay) -> None:
    body = b"x" * 250_000
    async with relay.agent() as (agent, peer):
        peer.socket.transport.pause_reading()
        async with asyncio.TaskGroup() as group:
            for _ in range(60):
                group.create_task(agent.send("bob", body))
            connection = agent._link._connection
            assert connection is not None
            await peer.say(deliver(7))
            assert (await agent.receive(WAIT_S)).message == 7  # reading goes on
            assert not connection.can_write
            assert connection._transport is not None
            assert connection._transport.get_write_buffer_size() < 3 * limits.MESSAGE_BYTES_MAX
            peer.socket.transport.resume_reading()
            for number in range(60):
                await peer.say(sent((await peer.next(Send)).id, number + 1))


async def test_an_agent_that_says_nothing_sends_heartbeats(relay: ScriptedRelay) -> None:
    connect = relay_client.connect(relay.url, agent="alice")
    async with running(relay.registered(heartbeat_s=0.05)) as joining, connect:
        peer = await joining
        assert await peer.next(Heartbeat) == Heartbeat()
        assert await peer.next(Heartbeat) == Heartbeat()


# -- reconnecting ----------------------------------------------------------------------------------------------------


async def test_a_send_without_an_answer_is_sent_again_with_the_same_key(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bob", "once")) as call:
        first = await peer.next(Send)
        await peer.cut()
        peer = await relay.registered()
        assert peer.register is not None
        assert peer.register.instance == agent.instance
        again = await peer.next(Send)
        assert again == first
        assert again.key is not None
        await peer.say(Ok(re=again.id, message=5, thread=5, recipients=1, online=0, duplicate=True))
        receipt = await call
        assert (receipt.message, receipt.duplicate, receipt.key) == (5, True, again.key)


async def test_calls_made_while_there_is_no_connection_wait_for_the_next(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.cut()
        peer = await relay.peer()
        assert not agent.connected
        async with running(agent.send("bob", "later")) as call:
            await peer.accept()
            frame = await peer.next(Send)
            assert agent.connected
            await peer.say(sent(frame.id, 1))
            assert (await call).message == 1


async def test_a_call_with_a_timeout_gives_up_while_there_is_no_connection(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.cut()
        peer = await relay.peer()
        with pytest.raises(TimeoutError, match="may or may not"):
            await agent.send("bob", "x", timeout_s=0.01)
        await peer.accept()
        async with running(agent.send("bob", "y")) as call:
            frame = await peer.next(Send)
            assert frame.body == "y"  # what was given up is not sent any more
            await peer.say(sent(frame.id, 1))
            await call


async def test_a_relay_that_goes_away_is_connected_to_again(relay: ScriptedRelay) -> None:
    async with relay.agent(), relay.agent("bob") as (agent, peer):
        await peer.dismiss("going_away", 1001)
        peer = await relay.registered()
        await peer.say(deliver(1))
        assert (await agent.receive(WAIT_S)).message == 1


async def test_a_register_that_fails_for_now_is_tried_again(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.cut()
        await (await relay.peer()).refuse("unavailable", "starting", 1012)
        await (await relay.peer()).cut()
        peer = await relay.registered(epoch=2)
        await peer.say(deliver(1))
        await agent.receive(WAIT_S)
        assert agent.epoch == 2


async def test_the_backoff_grows_while_connections_do_not_last(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def at_once(attempt: int) -> float:
        attempts.append(attempt)
        return 0

    monkeypatch.setattr(module, "backoff_s", at_once)
    async with relay.agent() as (_, peer):
        for _ in range(3):
            await peer.cut()
            peer = await relay.registered()
        assert attempts == [0, 1, 2]
        monkeypatch.setattr(module, "SETTLED_S", 0)
        await peer.cut()
        await relay.registered()
        assert attempts == [0, 1, 2, 0]


async def test_messages_it_can_not_read_end_the_connection_and_not_the_agent(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.socket.send(b"\xc1 no MessagePack")
        await peer.rest()
        assert peer.socket.close_code == 4400
        peer = await relay.registered()
        await peer.say(deliver(1))
        assert (await agent.receive(WAIT_S)).message == 1


async def test_frames_of_a_newer_relay_are_left_out(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.socket.send(b"\x91\x82\xa2op\xa6dancer\xa1x\x01")
        await peer.say(deliver(1))
        assert (await agent.receive(WAIT_S)).message == 1


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "close_code", "error"),
    [("replaced", 4409, Replaced), ("unauthorized", 4401, Unauthorized), ("bad_frame", 4400, BadFrame)],
)
async def test_some_goodbyes_end_it_for_good(
    relay: ScriptedRelay, code: str, close_code: int, error: type[Exception]
) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.send("bob", "x")) as call, running(_read_all(agent)) as loop:
            await peer.next(Send)
            await peer.dismiss(code, close_code)
            with pytest.raises(error, match=f"bye: {code}"):
                await call
            with pytest.raises(error):
                await loop
        with pytest.raises(error):
            await agent.receive()
        with pytest.raises(error):
            await agent.agents()
        assert not agent.connected


async def _read_all(agent: Agent) -> None:
    async for _ in agent:
        pass


async def test_the_close_code_alone_is_enough(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.say(Error(code="bad_frame", message="key 'op' stands twice"))
        await peer.socket.close(4400, "bad_frame")
        with pytest.raises(BadFrame, match="stands twice"):
            await agent.receive()


async def test_without_reconnect_a_lost_connection_is_the_end(relay: ScriptedRelay) -> None:
    async with relay.agent(reconnect=False) as (agent, peer), running(agent.send("bob", "x")) as call:
        await peer.next(Send)
        await peer.cut()
        with pytest.raises(Disconnected, match="the connection was lost"):
            await call


async def test_closing_says_bye_after_what_was_ready(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(agent.send("bob", "x")) as call:
        await asyncio.sleep(0)  # the call has asked, nothing is written yet
        await agent.close()
        assert [type(frame) for frame in await peer.rest()] == [Send, Bye]
        with pytest.raises(Disconnected, match="this agent was closed"):
            await call
        with pytest.raises(Disconnected):
            await agent.send("bob", "x")
        await agent.close()


async def test_closing_while_reconnecting_ends_the_attempts(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        await peer.cut()
        peer = await relay.peer()
        await agent.close()
        assert [type(frame) for frame in await peer.rest()] == [Register]


async def test_a_relay_that_does_not_answer_the_close_is_cut(
    relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_client.connection.CLOSE_S", 0.05)
    async with relay.agent() as (agent, peer):
        peer.socket.transport.pause_reading()
        await asyncio.wait_for(agent.close(), WAIT_S)
        peer.socket.transport.resume_reading()


# -- cancelling ------------------------------------------------------------------------------------------------------


async def test_a_cancelled_call_leaves_the_agent_usable(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.send("bob", "never mind")):
            cancelled = await peer.next(Send)
        async with running(agent.send("bob", "this one")) as call:
            frame = await peer.next(Send)
            await peer.say(sent(cancelled.id, 1), sent(frame.id, 2))
            assert (await call).message == 2


async def test_a_cancelled_claim_is_released_when_it_was_won(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.claim_message(7)):
            claim = await peer.next(Claim)
        await peer.say(Ok(re=claim.id, message=7, fence=3, lease_s=60))
        release = await peer.next(Release)
        assert (release.message, release.fence) == (7, 3)


async def test_a_claim_won_in_the_moment_of_its_cancellation_is_released(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        call = asyncio.create_task(agent.claim_message(7))
        claim = await peer.next(Claim)
        ok = Ok(re=claim.id, message=7, fence=3, lease_s=60)
        ((future, frame),) = agent._link.conversation.receive([ok])
        assert isinstance(frame, Ok)
        future.set_result(frame)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await peer.next(Release)).fence == 3


async def test_a_cancelled_receive_loses_no_message(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer):
        async with running(agent.receive()):
            await asyncio.sleep(0)
        await peer.say(deliver(1))
        assert (await agent.receive(WAIT_S)).message == 1


async def test_a_handled_message_that_comes_again_is_acked_again(relay: ScriptedRelay) -> None:
    async with relay.agent() as (agent, peer), running(_read_all(agent)):
        await peer.say(deliver(1))
        assert await peer.next(Ack) == Ack(messages=[1])
        await peer.cut()
        peer = await relay.registered()
        await peer.say(deliver(1, attempt=2), deliver(2))
        acks = [await peer.next(Ack)]
        if 2 not in acks[0].messages:
            acks.append(await peer.next(Ack))
        assert [message for ack in acks for message in ack.messages] == [1, 2]
